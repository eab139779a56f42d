"""The console as somebody sees it who is signed in, for the demo: a browser without scripts that keeps its cookies."""

from __future__ import annotations

import html
import re
import urllib.error
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar

from scripts.live_service import PATIENCE, Service, Unexpected


class Visitor:
    """Somebody who is signed in with the token of the service."""

    def __init__(self, service: Service) -> None:
        self._url = service.url
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        form = urllib.parse.urlencode({"token": service.token, "next": "/console"}).encode()
        self.look("/console/sign-in", form)

    def look(self, path: str, form: bytes | None = None) -> str:
        """What a page says, without its markup."""
        try:
            with self._opener.open(self._url + path, form, timeout=PATIENCE) as answer:
                text = answer.read().decode()
        except (OSError, urllib.error.HTTPError) as error:
            raise Unexpected(f"{path} of the console does not answer: {error}") from error
        plain = re.sub(r"<[^>]+>", " ", re.sub(r"<title>.*?</title>", " ", text, flags=re.DOTALL))
        return re.sub(r"\s+", " ", html.unescape(plain)).strip()

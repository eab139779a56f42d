"""A small OpenID Connect provider with a page on which somebody allows or denies; it is strict where providers are."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import secrets
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from joserfc import jwk, jwt

CLIENT = "accord-console"
SECRET = "a secret: with/odd characters"


class SignInProvider:
    """`claims` go into ID tokens over what is right; None leaves one out. `access`: the claims of access tokens, None
    for ones that are no JWT. `granted`: the scope that the answer names."""

    def __init__(self, name: str = "127.0.0.1", secret: str | None = SECRET) -> None:
        self.secret = secret
        self.claims: dict[str, Any] = {}
        self.access: dict[str, Any] | None = None
        self.granted: str | None = "openid profile accord:operate"
        self.broken = False
        self.questions: dict[str, Mapping[str, str]] = {}
        self.key = jwk.generate_key("RSA", 2048, {"kid": "k1", "use": "sig"})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://{name}:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def configuration(self) -> Mapping[str, Any]:
        return {
            "issuer": self.url,
            "jwks_uri": f"{self.url}/keys",
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
        }

    def allow(self, question: Mapping[str, str]) -> str:
        """Where the browser is sent after somebody has allowed it."""
        code = secrets.token_urlsafe(8)
        self.questions[code] = question
        return self.answer(question, code=code)

    def answer(self, question: Mapping[str, str], **said: str) -> str:
        return f"{question['redirect_uri']}?{urlencode({'state': question['state'], 'iss': self.url, **said})}"

    def token(self, headers: Mapping[str, str], form: Mapping[str, str]) -> tuple[int, Mapping[str, Any]]:
        """The answer to a code: each is good once, for who has asked."""
        question = self.questions.pop(form.get("code", ""), None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=")
        if not self._is_client(headers, form):
            return 401, {"error": "invalid_client"}
        if question is None or question["redirect_uri"] != form["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        if question["code_challenge_method"] != "S256" or question["code_challenge"].encode() != challenge:
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        good = {"iss": self.url, "aud": CLIENT, "sub": "u1", "exp": now + 60, "iat": now, "nonce": question["nonce"]}
        told = {"id_token": self.signed({**good, "preferred_username": "ada", **self.claims}), "access_token": "opaque"}
        if self.access is not None:
            own = {"iss": self.url, "aud": "accord", "sub": "u1", "exp": now + 60, "iat": now}
            told["access_token"] = self.signed({**own, **self.access})
        return 200, {**told, "token_type": "Bearer", **({"scope": self.granted} if self.granted else {})}

    def signed(self, claims: Mapping[str, Any]) -> str:
        kept = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode({"alg": "RS256", "kid": "k1"}, kept, self.key, algorithms=["RS256"])

    def _is_client(self, headers: Mapping[str, str], form: Mapping[str, str]) -> bool:
        if self.secret is None:
            return form.get("client_id") == CLIENT and "Authorization" not in headers
        sent = base64.b64decode(headers.get("Authorization", "").removeprefix("Basic ")).decode()
        return tuple(map(unquote, sent.split(":"))) == (CLIENT, self.secret)


def _handler(provider: SignInProvider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            question = {name: values[0] for name, values in parse_qs(parts.query).items()}
            if parts.path == "/authorize":
                links = {"Allow": provider.allow(question), "Deny": provider.answer(question, error="access_denied")}
                page = "".join(f'<a href="{html.escape(url)}">{name}</a> ' for name, url in links.items())
                self.tell(200, page.encode(), "text/html")
            elif parts.path == "/keys":
                self.tell(200, json.dumps({"keys": [provider.key.as_dict(private=False)]}).encode())
            else:
                self.tell(200, json.dumps(provider.configuration()).encode())

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            status, told = provider.token(dict(self.headers.items()), form)
            self.tell(status, json.dumps(told).encode())

        def tell(self, status: int, body: bytes, kind: str = "application/json") -> None:
            self.send_response(500 if provider.broken else status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler

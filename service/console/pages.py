"""What every page has in common: the language, who looks at it, its headers, and how a refusal is shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import orjson
from flask import Blueprint, Response, current_app, g, make_response, redirect, render_template, request
from werkzeug.exceptions import HTTPException

from service import wording
from service.core.errors import AccordError, Conflict, Invalid, NotFound, Stale, Unavailable
from service.operations.context import Context
from service.operations.tokens import Principal, Scope
from service.store.database import connection
from service.wording import formats

View = Callable[..., Any]

PAGE = 50
"""Rows of a list."""

LANGUAGE = "accord_language"
"""The cookie with the language that somebody chose."""

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_STATUS: Mapping[type[AccordError], HTTPStatus] = {
    NotFound: HTTPStatus.NOT_FOUND,
    Conflict: HTTPStatus.CONFLICT,
    Stale: HTTPStatus.CONFLICT,
    Invalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    Unavailable: HTTPStatus.FAILED_DEPENDENCY,
}
_YEAR = 31_536_000


class NotAllowed(AccordError):
    """The token of the session lacks a scope."""

    def __init__(self, scope: Scope) -> None:
        super().__init__("scope_missing", scope=scope.value)


class FormExpired(AccordError):
    """A form without the word that our own page would have put into it."""

    def __init__(self) -> None:
        super().__init__("form_expired")


def install(blueprint: Blueprint) -> None:
    """Give all pages of a blueprint what they have in common."""
    blueprint.context_processor(_words)
    blueprint.after_request(_headers)
    blueprint.register_error_handler(AccordError, _refused)
    blueprint.register_error_handler(HTTPException, _not_there)
    blueprint.add_url_rule("/language", "language", _choose_language, methods=["POST"])


def view(scope: Scope) -> Callable[[View], View]:
    """A page for people with this scope; others are asked to sign in, or told what is missing."""

    def decorate(function: View) -> View:
        @wraps(function)
        def admitted(*args: Any, **kwargs: Any) -> Any:
            with connection():
                who = g.console_session.principal()
                if who is None:
                    wanted = request.full_path if request.method == "GET" else "/console"
                    return redirect(f"/console/sign-in?next={_quoted(wanted)}", HTTPStatus.SEE_OTHER)
                g.console_principal = who
                if request.method == "POST" and not g.console_session.own_form(request.form.get("csrf", "")):
                    raise FormExpired
                if not who.may(scope):
                    raise NotAllowed(scope)
                return make_response(function(*args, **kwargs))

        return admitted

    return decorate


def context() -> Context:
    """What operations are handed."""
    found: Context = current_app.extensions["accord"]
    return found


def actor() -> str:
    """Who looks at the page, as runs and audit entries name them."""
    who: Principal = g.console_principal
    return who.actor


def may(scope: Scope) -> bool:
    """Whether who looks at the page has a scope."""
    who: Principal = g.console_principal
    return who.may(scope)


def language() -> str:
    """The language that was chosen, or the one that the browser asks for."""
    chosen = request.cookies.get(LANGUAGE, "")
    return chosen if chosen in wording.LANGUAGES else wording.negotiate(request.headers.get("Accept-Language"))


def show(template: str, status: int = 200, **values: Any) -> Response:
    """A page."""
    return make_response(render_template(f"console/{template}.html", **values), status)


def go(address: str) -> Any:
    """After something was done, to the page that shows it."""
    return redirect(address, HTTPStatus.SEE_OTHER)


def number(name: str) -> int | None:
    """A whole number in the query or the form, where there is one that can be an id."""
    text = request.values.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None


def own_address(text: str) -> str:
    """An address of the console itself; its start for everything else."""
    parts = urlsplit(text)
    own = not parts.scheme and not parts.netloc and (parts.path == "/console" or parts.path.startswith("/console/"))
    return text if own and "\\" not in text else "/console"


def said(error: AccordError) -> list[str]:
    """What a refusal says: a sentence for each problem."""
    if isinstance(error, Invalid):
        return [_sentence(one.code, one.params) for one in error.problems]
    return [_sentence(error.code, error.params)]


def _sentence(code: str, params: Mapping[str, Any]) -> str:
    words = wording.say(code, params, language())
    return f"{words.message} {words.advice}".strip()


def _quoted(path: str) -> str:
    return path.rstrip("?").replace("%", "%25").replace("&", "%26").replace("#", "%23").replace("+", "%2B")


def _words() -> dict[str, Any]:
    """What templates can say: `t` and `n` for texts, `term` for words of ours, numbers and moments."""
    tag = language()
    now = context().now()
    return {
        "language": tag,
        "languages": wording.LANGUAGES,
        "t": lambda english, **params: wording.text(english, tag, **params),
        "n": lambda one, many, number, **params: wording.count(one, many, number, tag, **params),
        "term": lambda group, code: wording.term(group, code, tag),
        "say": lambda code, params: wording.say(code, params, tag),
        "figure": lambda value: formats.number(value, tag),
        "moment": lambda stamp: formats.moment(stamp, tag),
        "ago": lambda stamp: formats.distance(stamp, now, tag),
        "iso": formats.iso,
        "json": lambda value: orjson.dumps(value).decode(),
        "lasts": lambda seconds: formats.distance(now + int(seconds) * 1_000_000, now, tag),
        "provider": urlsplit(g.get("console_provider") or "").hostname,
        "who": g.get("console_principal"),
        "may_operate": "console_principal" in g and g.console_principal.may(Scope.OPERATE),
        "may_admin": "console_principal" in g and g.console_principal.may(Scope.ADMIN),
        "csrf": g.console_session.csrf if "console_session" in g else "",
    }


def _headers(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["Content-Language"] = language()
    if request.endpoint == "console.static":
        response.headers["Cache-Control"] = "public, max-age=3600"
    else:
        response.headers["Cache-Control"] = "no-store"
    return response


def _refused(error: AccordError) -> Response:
    status = next((_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS), HTTPStatus.FORBIDDEN)
    words = wording.say(error.code, error.params, language())
    return show("refusal", status, title=words.title, sentences=said(error))


def _not_there(error: HTTPException) -> Response:
    words = wording.say("path_not_found" if error.code == HTTPStatus.NOT_FOUND else "bad_request", {}, language())
    return show("refusal", error.code or 400, title=words.title, sentences=[words.message])


def _choose_language() -> Any:
    answer = go(own_address(request.form.get("next", "")))
    chosen = request.form.get("language", "")
    if chosen in wording.LANGUAGES:
        answer.set_cookie(
            LANGUAGE, chosen, max_age=_YEAR, path="/console", httponly=True, samesite="Strict", secure=request.is_secure
        )
    return answer

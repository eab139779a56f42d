"""The console: pages for people, on the same operations as the API. It works without scripts and any outside host."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Flask

from service.console import (
    connections,
    couplings,
    errors,
    mapping_edit,
    mappings,
    overview,
    pages,
    runs,
    session,
    skipped,
    tables,
)
from service.operations.oidc_sign_in import SignIn
from service.operations.tokens import Principal


def install(
    app: Flask, secret_key: str, authenticate: Callable[[str], Principal], sign_in: SignIn | None = None
) -> None:
    """Give an application the console. `secret_key`: the keys of the settings, which sign the sessions.

    `authenticate` says whose token this is, and raises an AccordError for none that is good. `sign_in`: where people
    may sign in with an identity provider.
    """
    blueprint = Blueprint(
        "console", __name__, url_prefix="/console", template_folder="templates", static_folder="static"
    )
    pages.install(blueprint)
    session.install(blueprint, secret_key, authenticate, sign_in)
    for part in (overview, skipped, errors, runs, couplings, mappings, mapping_edit, connections, tables):
        part.install(blueprint)
    app.register_blueprint(blueprint)

"""`accord token`: who may ask for what."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click

from service.cli.preparing import ACTOR, opened, sentences
from service.core.records import stamp_of
from service.operations import tokens
from service.operations.tokens import Scope


@click.group("token")
def token_group() -> None:
    """Tokens: who may ask for what."""


@token_group.command("create")
@click.option("--name", default="cli", show_default=True, help="Whose token it is.")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice([scope.value for scope in Scope]),
    multiple=True,
    required=True,
    help="What it allows; may be given several times.",
)
@click.option("--days", type=click.IntRange(1, 36500), help="After how many days it ends; never when left out.")
def create_token(name: str, scopes: tuple[str, ...], days: int | None) -> None:
    """Make a token and print it; it cannot be read again."""
    with sentences(), opened() as context:
        expires = None if days is None else stamp_of(datetime.now(UTC) + timedelta(days=days))
        _, text = tokens.create(context, name, scopes, expires, ACTOR)
    click.echo(text)

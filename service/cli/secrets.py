"""`accord secrets`: what is encrypted at rest."""

from __future__ import annotations

import sys

import click

from service.cli.preparing import ACTOR, opened, sentences
from service.operations import secrets
from service.shell import tell, tell_count


@click.group("secrets")
def secrets_group() -> None:
    """What is encrypted at rest."""


@secrets_group.command("rotate")
def rotate_secrets() -> None:
    """Encrypt everything anew with the first key of ACCORD_SECRET_KEY, so that the others can be dropped."""
    with sentences(), opened() as context:
        done, lost = secrets.rotate(context, ACTOR)
    click.echo(
        tell_count(
            "{number} secret is encrypted with the first key.",
            "{number} secrets are encrypted with the first key.",
            done,
        )
    )
    for table, id in lost:
        said = tell(
            "{table} {id} was encrypted with a key that is not among those of ACCORD_SECRET_KEY.", table=table, id=id
        )
        click.echo(said, err=True)
    sys.exit(1 if lost else 0)

"""Commands for the service's own database: `migrate`, `backup`, `restored`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from service.cli.preparing import ACTOR, Refused, bring_up_to_date, opened, sentences
from service.operations import restored
from service.settings.environment import read_settings
from service.shell import tell, tell_count
from service.store.database import copy_to, open_database


@click.command("migrate")
def migrate_command() -> None:
    """Bring the service's database up to date."""
    with sentences():
        settings = read_settings(os.environ)
        open_database(settings.database_url)
        done = bring_up_to_date(settings)
    for name in done:
        click.echo(tell("applied {name}", name=name))
    if done:
        click.echo(
            tell_count(
                "{number} applied; the database is up to date.",
                "{number} applied; the database is up to date.",
                len(done),
            )
        )
    else:
        click.echo(tell("The database is up to date."))


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def backup(file: Path) -> None:
    """Copy the service's database to FILE, while it is in use (SQLite; PostgreSQL has pg_dump)."""
    with sentences(), opened():
        try:
            size = copy_to(file)
        except FileExistsError:
            raise Refused(tell("{file} exists already; nothing was written.", file=file)) from None
        except OSError as error:
            raise Refused(tell("{file} cannot be written: {detail}.", file=file, detail=error)) from error
    click.echo(
        tell_count(
            "{number} byte was written to {file}. The key of the credentials is not in it: keep that elsewhere.",
            "{number} bytes were written to {file}. The key of the credentials is not in it: keep that elsewhere.",
            size,
            file=file,
        )
    )


@click.command("restored")
def restored_command() -> None:
    """Say that the service's database was restored from a backup, before it is started again."""
    with sentences(), opened() as context:
        number = restored.declare(context, ACTOR)
    click.echo(
        tell_count(
            "The next run of the {number} mapping looks at everything, with care.",
            "The next run of each of the {number} mappings looks at everything, with care.",
            number,
        )
    )

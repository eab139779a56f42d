"""What every command does first: read the settings, open the database, and say in a sentence what stops it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from service import shell, telemetry, wording
from service.app import configure_logging
from service.core.errors import AccordError, Explained, Invalid, Problem
from service.operations import restored, tokens
from service.operations.context import Context
from service.operations.health import UNREACHABLE
from service.operations.upgrading import upgrade
from service.settings.environment import Settings, beside_database, database_name, read_settings
from service.settings.secrets import LONG_ENOUGH, secret_box, weak_secrets, with_secrets
from service.settings.values import SettingsWrong
from service.shell import explain, tell, tell_count
from service.store import levels
from service.store.database import connection, is_postgresql, open_database, pending_migrations
from service.worker.parts import part

ACTOR = "cli"
"""Who did it, for the audit."""


class Refused(click.ClickException):
    """What stops a command; the text says why, and the code is that of a finding of `accord check`."""

    exit_code = 2

    def __init__(self, message: str, code: str = "installation_unusable") -> None:
        super().__init__(message)
        self.code = code


def context_of(settings: Settings, **more: Any) -> Context:
    """What operations are handed under these settings."""
    if settings.queue_url is not None:
        jobs = part("jobs").Jobs()
        more = {"wake": jobs.wake, "dispatch": jobs.dispatch, "abort": jobs.abort, "recall": jobs.recall, **more}
    return Context(
        secret_box(settings),
        private_networks=settings.private_networks or (),
        note_run=last_run(settings).note,
        lease=settings.lease_seconds * 1_000_000,
        range_size=settings.range_records,
        **more,
    )


def last_run(settings: Settings) -> restored.LastRun:
    return restored.LastRun(beside_database(settings, ".last-run"), database_name(settings))


def prepared(*, migrating: bool) -> Settings:
    """Settings with their secrets, logging, and a database that is up to date and lets the first token in.

    PostgreSQL may be shared by processes of different versions: there only `start` and `migrate` change the schema.
    """
    # The state holds copies of business data: nobody else on the machine reads it.
    os.umask(0o077)
    telemetry.assert_available(os.environ)
    settings = with_secrets(read_settings(os.environ), _show_token)
    for name in weak_secrets(settings):
        said = tell(
            "Warning: {name} has less than {count} characters and may be guessed.", name=name, count=LONG_ENOUGH
        )
        click.echo(said, err=True)
    configure_logging(settings.log_format, settings.log_level)
    opened = open_database(settings.database_url)
    if migrating or not is_postgresql():
        bring_up_to_date(settings)
    with connection():
        _assert_up_to_date(settings)
        if settings.token is not None:
            tokens.ensure_first(context_of(settings), settings.token)
        if restored.notice(context_of(settings), last_run(settings)):
            click.echo(
                tell(
                    "The database is older than the runs that this machine has seen: it was restored from a backup."
                    " The next run of every mapping looks at everything, couples what is equal, deletes nothing and"
                    " leaves the rest to people."
                ),
                err=True,
            )
    _close_for_fork(opened)
    return settings


def bring_up_to_date(settings: Settings) -> list[str]:
    """Migrate our tables and those of the queue; returns the names of what was applied."""
    done = upgrade()
    return done if settings.queue_url is None else done + part("queue_schema").migrate()


def newer(level: str) -> str:
    """What is said where this version cannot work."""
    return tell("The database was brought to {level} by a newer version; this one cannot work beside it.", level=level)


def _assert_up_to_date(settings: Settings) -> None:
    level = levels.closed_to_us()
    if level is not None:
        raise Refused(newer(level), "version_too_old")
    pending = pending_migrations()
    if pending:
        raise Refused(
            tell_count(
                "The database lacks {number} migration; run `accord migrate` first.",
                "The database lacks {number} migrations; run `accord migrate` first.",
                len(pending),
            ),
            "migrations_missing",
        )
    if settings.queue_url is not None and part("queue_schema").missing():
        raise Refused(
            tell("The database lacks tables of the queue; run `accord migrate` first, with ACCORD_QUEUE_URL."),
            "queue_tables_missing",
        )


def _show_token(file: Path, token: str) -> None:
    said = tell("A token with all rights was made; it is kept in {file} and not shown again:", file=file)
    click.echo(f"{said}\n\n    {token}\n", err=True)


def _close_for_fork(opened: Any) -> None:
    """A connection that waits in a pool must not be shared with a forked process."""
    close_all = getattr(opened, "close_all", None)
    if close_all is not None:
        close_all()


@contextmanager
def opened() -> Iterator[Context]:
    """A context and a connection for a command."""
    settings = prepared(migrating=False)
    with connection():
        yield context_of(settings)


@contextmanager
def sentences(*, pointers: bool = False) -> Iterator[None]:
    """What is known to go wrong ends the command with a sentence, not with a traceback. `pointers`: a line for each
    problem, and where in the file it is."""
    try:
        yield
    except SettingsWrong as error:
        raise Refused(" ".join(map(explain, error.problems)), "settings_wrong") from error
    except UNREACHABLE as error:
        said = tell("The database of ACCORD_DATABASE_URL cannot be used: {detail}", detail=error)
        raise Refused(said, "database_unusable") from error
    except Invalid as error:
        if pointers:
            raise Refused("\n".join(_problem(one) for one in error.problems)) from error
        told = (wording.say(one.code, one.params, shell.language()).message for one in error.problems)
        raise Refused(" ".join(told)) from error
    except (Explained, AccordError) as error:
        raise Refused(explain(error)) from error


def _problem(one: Problem) -> str:
    words = wording.say(one.code, one.params, shell.language())
    return f"{one.pointer or '/'}: {words.message} {words.advice}".rstrip()

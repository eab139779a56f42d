"""The command `accord`: starting the service, and what an operator asks of it from a shell."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
from flask import Flask
from gunicorn.app.base import BaseApplication

from service import __version__, wording
from service.app import configure_logging, create_app
from service.core.errors import AccordError, Invalid
from service.core.records import stamp_of
from service.operations import checks, connections, mappings, restored, runs, tokens
from service.operations.context import Context
from service.operations.health import UNREACHABLE
from service.operations.tokens import Scope
from service.settings import (
    LONG_ENOUGH,
    Settings,
    SettingsWrong,
    beside_database,
    database_name,
    read_settings,
    secret_box,
    weak_secrets,
    with_secrets,
)
from service.store.database import (
    DatabaseRefused,
    connection,
    copy_to,
    is_postgresql,
    migrate,
    open_database,
    pending_migrations,
)
from service.store.models import SyncRun
from service.worker import Worker

_GRACE = 25
"""Seconds that requests and runs have to come to a good end after SIGTERM; a supervisor waits 30 or so."""
_FINISHED = ("succeeded", "completedWithErrors", "failed", "cancelled")
_EVERYTHING = 500
_ACTOR = "cli"
_RESTORED = (
    "The database is older than the runs that this machine has seen: it was restored from a backup. The next run of"
    " every mapping looks at everything, couples what is equal, deletes nothing and leaves the rest to people."
)


class Refused(click.ClickException):
    """What stops a command; the text says why."""

    exit_code = 2


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="accord")
def main() -> None:
    """Keep the records of two business applications in accord.

    Settings come from the environment: ACCORD_HOST, ACCORD_PORT, ACCORD_DATABASE_URL, ACCORD_TOKEN,
    ACCORD_SECRET_KEY, ACCORD_LOG_FORMAT, ACCORD_THREADS, ACCORD_RATE_LIMIT, ACCORD_OIDC_ISSUER,
    ACCORD_OIDC_AUDIENCE, ACCORD_OIDC_CLAIM, ACCORD_OIDC_SCOPES, ACCORD_PRIVATE_NETWORKS; <NAME>_FILE names a file that
    holds the value instead.
    """


@main.command()
def start() -> None:
    """Serve the API and work on runs, in one process."""
    with _sentences():
        settings = _prepared(migrating=True)
        _Server(settings, working=True).run()


@main.command()
def serve() -> None:
    """Serve the API only; `accord work` works on the runs."""
    with _sentences():
        _Server(_prepared(migrating=False), working=False).run()


@main.command()
def work() -> None:
    """Work on runs only; `accord serve` serves the API."""
    with _sentences():
        settings = _prepared(migrating=False)
        context, worker = _working_context(settings)
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        worker.start()
        click.echo(f"Accord {__version__} works on runs.", err=True)
        stop.wait()
        worker.stop(_GRACE)
        del context


@main.command("migrate")
def migrate_command() -> None:
    """Bring the service's database up to date."""
    with _sentences():
        settings = read_settings(os.environ)
        open_database(settings.database_url)
        done = migrate()
    for name in done:
        click.echo(f"applied {name}")
    click.echo("The database is up to date." if not done else f"{len(done)} applied; the database is up to date.")


@main.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def backup(file: Path) -> None:
    """Copy the service's database to FILE, while it is in use (SQLite; PostgreSQL has pg_dump)."""
    with _sentences(), _opened():
        try:
            size = copy_to(file)
        except FileExistsError:
            raise Refused(f"{file} exists already; nothing was written.") from None
        except OSError as error:
            raise Refused(f"{file} cannot be written: {error}.") from error
    click.echo(f"{size} bytes were written to {file}. The key of the credentials is not in it: keep that elsewhere.")


@main.command("restored")
def restored_command() -> None:
    """Say that the service's database was restored from a backup, before it is started again."""
    with _sentences(), _opened() as context:
        number = restored.declare(context, _ACTOR)
    click.echo(f"The next run of each of the {number} mappings looks at everything, with care.")


@main.command()
def check() -> None:
    """Check the settings, the database and every connection."""
    with _sentences(), _opened() as context:
        statuses = [_check(context, row) for row in connections.list_connections(before=None, limit=_EVERYTHING)]
    click.echo(f"{len(statuses)} connections checked.")
    sys.exit(1 if "fail" in statuses else 0)


@main.command()
@click.argument("mapping")
@click.option("--dry-run", is_flag=True, help="Tell what would happen, and write nothing.")
@click.option("--full", "kind", flag_value="full", help="Look at all records, not only at those that changed.")
@click.option("--reconcile", "kind", flag_value="reconcile", help="Find what slipped, and say how much is in step.")
def sync(mapping: str, dry_run: bool, kind: str | None) -> None:
    """Synchronize MAPPING (its name or its id) now, and wait for the end."""
    with _sentences():
        with _opened() as context:
            id = int(mapping) if mapping.isdecimal() else mappings.id_of(mapping)
            request = runs.RunRequest(id, kind=kind or "modified", dry_run=dry_run)
            run = runs.start(context, request, _ACTOR, trigger="cli")
        run = _watched(context, run.id)
    click.echo(_summary(run))
    sys.exit(0 if run.status == "succeeded" else 1)


@main.group("token")
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
    with _sentences(), _opened() as context:
        expires = None if days is None else stamp_of(datetime.now(UTC) + timedelta(days=days))
        _, text = tokens.create(context, name, scopes, expires, _ACTOR)
    click.echo(text)


# Putting a process together


class _Server(BaseApplication):  # type: ignore[misc]
    """gunicorn with threads in one process, so that the worker and the requests wake each other."""

    def __init__(self, settings: Settings, *, working: bool) -> None:
        self._settings, self._working = settings, working
        self._worker: Worker | None = None
        super().__init__()

    def load_config(self) -> None:
        chosen = {
            "bind": f"{self._settings.host}:{self._settings.port}",
            "workers": 1,
            "worker_class": "gthread",
            "threads": self._settings.threads,
            "graceful_timeout": _GRACE + 5,
            "timeout": 120,
            "loglevel": "warning",
            "control_socket_disable": True,
            "proc_name": "accord",
            "when_ready": self._announce,
            "worker_exit": self._ended,
        }
        for name, value in chosen.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """In the process that serves: open the database there, since connections do not survive a fork."""
        open_database(self._settings.database_url)
        if not self._working:
            return create_app(self._settings, _context(self._settings))
        context, self._worker = _working_context(self._settings)
        self._worker.start()
        return create_app(self._settings, context)

    def _announce(self, _server: Any) -> None:
        where = f"http://{self._settings.host}:{self._settings.port}"
        click.echo(f"Accord {__version__} listens on {where}; the API is described on {where}/docs", err=True)

    def _ended(self, _server: Any, _process: Any) -> None:
        if self._worker is not None:
            self._worker.stop(_GRACE)


def _context(settings: Settings, **more: Any) -> Context:
    """What operations are handed under these settings."""
    networks = settings.private_networks or ()
    return Context(secret_box(settings), private_networks=networks, note_run=_last_run(settings).note, **more)


def _last_run(settings: Settings) -> restored.LastRun:
    return restored.LastRun(beside_database(settings, ".last-run"), database_name(settings))


def _working_context(settings: Settings) -> tuple[Context, Worker]:
    """A context whose worker is woken by it."""
    made: list[Worker] = []
    context = _context(settings, wake=lambda: made[0].wake())
    made.append(Worker(context))
    return context, made[0]


def _prepared(*, migrating: bool) -> Settings:
    """Settings with their secrets, logging, and a database that is up to date and lets the first token in.

    PostgreSQL may be shared by processes of different versions: there only `start` and `migrate` change the schema.
    """
    # The state holds copies of business data: nobody else on the machine reads it.
    os.umask(0o077)
    settings = with_secrets(read_settings(os.environ), lambda text: click.echo(text, err=True))
    for name in weak_secrets(settings):
        click.echo(f"Warning: {name} has less than {LONG_ENOUGH} characters and may be guessed.", err=True)
    configure_logging(settings.log_format)
    opened = open_database(settings.database_url)
    if migrating or not is_postgresql():
        migrate()
    with connection():
        pending = pending_migrations()
        if pending:
            raise Refused(f"The database lacks {len(pending)} migrations; run `accord migrate` first.")
        if settings.token is not None:
            tokens.ensure_first(_context(settings), settings.token)
        if restored.notice(_context(settings), _last_run(settings)):
            click.echo(_RESTORED, err=True)
    _close_for_fork(opened)
    return settings


def _close_for_fork(opened: Any) -> None:
    """A connection that waits in a pool must not be shared with a forked process."""
    close_all = getattr(opened, "close_all", None)
    if close_all is not None:
        close_all()


@contextmanager
def _opened() -> Iterator[Context]:
    """A context and a connection for a command."""
    settings = _prepared(migrating=False)
    with connection():
        yield _context(settings)


@contextmanager
def _sentences() -> Iterator[None]:
    """What is known to go wrong ends the command with a sentence, not with a traceback."""
    try:
        yield
    except (SettingsWrong, DatabaseRefused) as error:
        raise Refused(str(error)) from error
    except UNREACHABLE as error:
        raise Refused(f"The database of ACCORD_DATABASE_URL cannot be used: {error}") from error
    except Invalid as error:
        raise Refused(" ".join(wording.say(one.code, one.params).message for one in error.problems)) from error
    except AccordError as error:
        raise Refused(wording.say(error.code, error.params).message) from error


# What commands print


def _check(context: Context, row: Any) -> str:
    status, findings = checks.check(context, row.id)
    click.echo(f"{_colored(status)}  {row.name}")
    for item in findings:
        if item.status in ("warn", "fail"):
            words = wording.say(item.code, {**item.params, "rule": item.status})
            click.echo(f"      {_colored(item.status)}  {words.message} {words.advice}".rstrip())
    return status


def _colored(status: str) -> str:
    color = {"pass": "green", "warn": "yellow", "fail": "red"}.get(status)
    return click.style(status.ljust(4), fg=color)


def _watched(context: Context, run_id: int) -> SyncRun:
    """Wait for a run's end. A worker of our own helps, since there may be no other."""
    worker = Worker(context, threads=1)
    worker.start()
    try:
        return _wait(lambda: _look(run_id))
    finally:
        worker.stop(_GRACE)


def _look(run_id: int) -> SyncRun:
    with connection():
        return runs.get(run_id)


def _wait(look: Callable[[], SyncRun]) -> SyncRun:
    terminal = sys.stderr.isatty()
    pause = threading.Event()
    while (run := look()).status not in _FINISHED:
        if terminal:
            click.echo(f"\r{run.status}: {run.progress.get('read', 0)} records read", err=True, nl=False)
        pause.wait(0.2)
    if terminal:
        click.echo("\r" + " " * 60 + "\r", err=True, nl=False)
    return run


def _summary(run: SyncRun) -> str:
    lines = [f"run {run.id}: {run.status}" + (" (dry run)" if run.dry_run else "")]
    for direction, counts in run.counts.items():
        told = ", ".join(f"{number} {outcome}" for outcome, number in counts.items() if number)
        lines.append(f"  {direction}: {told or 'nothing read'}")
    if "inSync" in run.progress:
        lines.append(f"  in sync: {run.progress['inSync']} of {run.progress['coupled']} pairs")
    if run.code is not None:
        lines.append(f"  {wording.say(run.code, run.params).message}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

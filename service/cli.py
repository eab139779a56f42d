"""The command `accord`: starting the service, and what an operator asks of it from a shell."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TextIO

import click
from flask import Flask
from gunicorn.app.base import BaseApplication
from prometheus_client import start_http_server

from service import __version__, shell, telemetry, wording
from service.api import events
from service.api.fields import camel
from service.api.setup_shapes import read as read_setup
from service.api.setup_shapes import written as written_setup
from service.api.setup_yaml import dump_yaml
from service.app import configure_logging, create_app
from service.core.errors import AccordError, Explained, Invalid, Problem
from service.core.records import stamp_of
from service.operations import (
    applying,
    checks,
    connections,
    exports,
    mappings,
    planning,
    restored,
    run_groups,
    runs,
    secrets,
    tokens,
)
from service.operations.context import Context
from service.operations.figures import counted
from service.operations.health import UNREACHABLE
from service.operations.tokens import Scope
from service.settings import (
    LONG_ENOUGH,
    SETTINGS,
    Settings,
    SettingsWrong,
    beside_database,
    database_name,
    read_settings,
    secret_box,
    weak_secrets,
    with_secrets,
)
from service.shell import explain, tell, tell_count
from service.store.database import (
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


class Refused(click.ClickException):
    """What stops a command; the text says why."""

    exit_code = 2


@click.group(
    cls=shell.Group,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=", ".join(SETTINGS),
)
@click.version_option(__version__, prog_name="accord")
def main() -> None:
    """Keep the records of two business applications in accord.

    Settings come from the environment; <NAME>_FILE names a file that holds the value instead. Traces are sent where
    OTEL_EXPORTER_OTLP_ENDPOINT says.
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
        telemetry.start(os.environ)
        if settings.metrics_port is not None:
            start_http_server(settings.metrics_port, settings.host, counted().registry)
        worker.start()
        click.echo(tell("Accord {version} works on runs.", version=__version__), err=True)
        stop.wait()
        worker.stop(_GRACE)
        telemetry.stop()
        del context


@main.command("migrate")
def migrate_command() -> None:
    """Bring the service's database up to date."""
    with _sentences():
        settings = read_settings(os.environ)
        open_database(settings.database_url)
        done = migrate()
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


@main.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def backup(file: Path) -> None:
    """Copy the service's database to FILE, while it is in use (SQLite; PostgreSQL has pg_dump)."""
    with _sentences(), _opened():
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


@main.command("restored")
def restored_command() -> None:
    """Say that the service's database was restored from a backup, before it is started again."""
    with _sentences(), _opened() as context:
        number = restored.declare(context, _ACTOR)
    click.echo(
        tell_count(
            "The next run of the {number} mapping looks at everything, with care.",
            "The next run of each of the {number} mappings looks at everything, with care.",
            number,
        )
    )


@main.command()
def check() -> None:
    """Check the settings, the database and every connection."""
    with _sentences(), _opened() as context:
        statuses = [_check(context, row) for row in connections.list_connections(before=None, limit=_EVERYTHING)]
    click.echo(tell_count("{number} connection checked.", "{number} connections checked.", len(statuses)))
    sys.exit(1 if "fail" in statuses else 0)


@main.command()
@click.argument("mapping", required=False)
@click.option("--all", "everything", is_flag=True, help="Every enabled mapping, in the order of their needs.")
@click.option("--dry-run", is_flag=True, help="Tell what would happen, and write nothing.")
@click.option("--full", "kind", flag_value="full", help="Look at all records, not only at those that changed.")
@click.option("--reconcile", "kind", flag_value="reconcile", help="Find what slipped, and say how much is in step.")
def sync(mapping: str | None, everything: bool, dry_run: bool, kind: str | None) -> None:
    """Synchronize MAPPING (its name or its id), or --all, now, and wait for the end."""
    if (mapping is None) != everything:
        raise click.UsageError("Say either which mapping, or --all.")
    with _sentences():
        with _opened() as context:
            started = _start(context, mapping, kind or "modified", dry_run)
        ended = _watched(context, started)
    for run in ended:
        click.echo(_summary(run))
    sys.exit(0 if all(run.status == "succeeded" for run in ended) else 1)


def _start(context: Context, mapping: str | None, kind: str, dry_run: bool) -> SyncRun:
    """Queue the run of a mapping, or those of all mappings, and return the first."""
    if mapping is None:
        group = run_groups.GroupRequest(kind=kind, dry_run=dry_run)
        return run_groups.start(context, group, _ACTOR, trigger="cli")[0]
    id = int(mapping) if mapping.isdecimal() else mappings.id_of(mapping)
    return runs.start(context, runs.RunRequest(id, kind=kind, dry_run=dry_run), _ACTOR, trigger="cli")


@main.command()
@click.argument("file", type=click.File(encoding="utf-8"))
@click.option("--dry-run", is_flag=True, help="Show what would change, and write nothing.")
@click.option("--prune", is_flag=True, help="Delete connections and mappings that the file does not name.")
def apply(file: TextIO, dry_run: bool, prune: bool) -> None:
    """Make connections and mappings what FILE (YAML or JSON, - for the standard input) says.

    Nothing is written unless all of it can be. {"fromEnvironment": "NAME"} stands for a secret; NAME_FILE may name a
    file that holds it.
    """
    with _sentences(pointers=True), _opened() as context:
        plan = planning.plan(context, read_setup(file.read()), _variable, prune=prune)
        click.echo(_told(plan))
        if not dry_run and not plan.empty:
            applying.carry_out(context, plan, _ACTOR)
            context.wake()
    if plan.empty:
        click.echo(tell("Nothing to do."))
    else:
        click.echo(tell("Nothing was written (dry run).") if dry_run else tell("Done."))


@main.command("export")
@click.option("--format", "form", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True)
def export_command(form: str) -> None:
    """Print all connections and mappings as a file for `accord apply`, without secrets."""
    with _sentences(), _opened() as context:
        shown = written_setup(exports.export(context))
    click.echo(
        dump_yaml(shown) if form == "yaml" else json.dumps(shown, ensure_ascii=False, indent=2), nl=form == "json"
    )


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


@main.group("secrets")
def secrets_group() -> None:
    """What is encrypted at rest."""


@secrets_group.command("rotate")
def rotate_secrets() -> None:
    """Encrypt everything anew with the first key of ACCORD_SECRET_KEY, so that the others can be dropped."""
    with _sentences(), _opened() as context:
        done, lost = secrets.rotate(context, _ACTOR)
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
            "post_worker_init": self._serving,
            "worker_exit": self._ended,
        }
        for name, value in chosen.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """In the process that serves: open the database there, since connections do not survive a fork."""
        open_database(self._settings.database_url)
        telemetry.start(os.environ)
        if not self._working:
            return create_app(self._settings, _context(self._settings))
        context, self._worker = _working_context(self._settings)
        self._worker.start()
        return create_app(self._settings, context)

    def _announce(self, _server: Any) -> None:
        where = f"http://{self._settings.host}:{self._settings.port}"
        said = tell(
            "Accord {version} listens on {where}; the API is described on {where}/docs",
            version=__version__,
            where=where,
        )
        click.echo(said, err=True)

    @staticmethod
    def _serving(process: Any) -> None:
        """Nobody who watches a run keeps a server from stopping."""
        events.end_with(process.wsgi, lambda: not process.alive)

    def _ended(self, _server: Any, _process: Any) -> None:
        if self._worker is not None:
            self._worker.stop(_GRACE)
        telemetry.stop()


def _context(settings: Settings, **more: Any) -> Context:
    """What operations are handed under these settings."""
    return Context(
        secret_box(settings),
        private_networks=settings.private_networks or (),
        note_run=_last_run(settings).note,
        lease=settings.lease_seconds * 1_000_000,
        **more,
    )


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
        migrate()
    with connection():
        pending = pending_migrations()
        if pending:
            raise Refused(
                tell_count(
                    "The database lacks {number} migration; run `accord migrate` first.",
                    "The database lacks {number} migrations; run `accord migrate` first.",
                    len(pending),
                )
            )
        if settings.token is not None:
            tokens.ensure_first(_context(settings), settings.token)
        if restored.notice(_context(settings), _last_run(settings)):
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


def _show_token(file: Path, token: str) -> None:
    said = tell("A token with all rights was made; it is kept in {file} and not shown again:", file=file)
    click.echo(f"{said}\n\n    {token}\n", err=True)


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
def _sentences(*, pointers: bool = False) -> Iterator[None]:
    """What is known to go wrong ends the command with a sentence, not with a traceback. `pointers`: a line for each
    problem, and where in the file it is."""
    try:
        yield
    except SettingsWrong as error:
        raise Refused(" ".join(map(explain, error.problems))) from error
    except UNREACHABLE as error:
        raise Refused(tell("The database of ACCORD_DATABASE_URL cannot be used: {detail}", detail=error)) from error
    except Invalid as error:
        if pointers:
            raise Refused("\n".join(_problem(one) for one in error.problems)) from error
        said = (wording.say(one.code, one.params, shell.language()).message for one in error.problems)
        raise Refused(" ".join(said)) from error
    except (Explained, AccordError) as error:
        raise Refused(explain(error)) from error


# What commands print


def _variable(name: str) -> str | None:
    """A variable of the environment, or what the file holds that `<NAME>_FILE` names."""
    if name in os.environ:
        return os.environ[name]
    path = os.environ.get(f"{name}_FILE")
    try:
        return None if path is None else Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, ValueError) as error:
        raise Refused(tell("{name}_FILE cannot be read: {detail}", name=name, detail=error)) from error


def _problem(one: Problem) -> str:
    words = wording.say(one.code, one.params, shell.language())
    return f"{one.pointer or '/'}: {words.message} {words.advice}".rstrip()


_SIGNS = {"create": "+", "change": "~", "unchanged": "=", "delete": "-"}


def _told(plan: planning.Plan) -> str:
    """A plan, a line for each item and each value that is to change."""
    lines = []
    for change in plan.changes:
        lines.append(f"{_SIGNS[change.action]} {change.noun} {change.name}")
        lines += [f"    {_difference(one)}" for one in change.differences]
    return "\n".join(lines)


def _difference(one: planning.Difference) -> str:
    path = ".".join(camel(name) for name in one.path)
    if one.before is None and one.after is None:
        return f"{path}: changed"
    return f"{path}: {json.dumps(one.before, ensure_ascii=False)} -> {json.dumps(one.after, ensure_ascii=False)}"


def _check(context: Context, row: Any) -> str:
    status, findings = checks.check(context, row.id)
    click.echo(f"{_colored(status)}  {row.name}")
    for item in findings:
        if item.status in ("warn", "fail"):
            words = wording.say(item.code, {**item.params, "rule": item.status}, shell.language())
            click.echo(f"      {_colored(item.status)}  {words.message} {words.advice}".rstrip())
    return status


def _colored(status: str) -> str:
    color = {"pass": "green", "warn": "yellow", "fail": "red"}.get(status)
    return click.style(status.ljust(4), fg=color)


def _watched(context: Context, run: SyncRun) -> list[SyncRun]:
    """Wait for the end of a run, and of all that were asked for with it. A worker of our own helps, since there may be
    no other."""
    worker = Worker(context, threads=1)
    worker.start()
    try:
        return _wait(lambda: _look(run))
    finally:
        worker.stop(_GRACE)


def _look(run: SyncRun) -> list[SyncRun]:
    with connection():
        return [runs.get(run.id)] if run.group_id is None else run_groups.members(run.group_id)


def _wait(look: Callable[[], list[SyncRun]]) -> list[SyncRun]:
    """Look until all runs have ended, with a bar on a terminal as soon as it is known how much there is to read."""
    pause = threading.Event()
    with ExitStack() as shown:
        bar: Any = None
        while open_ones := [run for run in look() if run.status not in _FINISHED]:
            progress = next((run.progress for run in open_ones if "estimate" in run.progress), None)
            if bar is None and sys.stderr.isatty() and progress is not None:
                bar = shown.enter_context(click.progressbar(length=1, label=tell("runs"), file=sys.stderr))
            if bar is not None and progress is not None:
                _move(bar, progress)
            pause.wait(0.2)
    return look()


def _move(bar: Any, progress: Mapping[str, Any]) -> None:
    """The estimate grows when the other side's turn comes; more may be there by then than was counted."""
    read = progress.get("read", 0)
    bar.length = max(progress.get("estimate", 0), read, 1)
    rate = round(progress.get("rate", 0))
    bar.label = tell_count("{number} record, {rate} a second", "{number} records, {rate} a second", read, rate=rate)
    bar.update(read - bar.pos)


def _term(group: str, code: str) -> str:
    return wording.term(group, code, shell.language())


def _summary(run: SyncRun) -> str:
    dry = f" ({tell('dry run')})" if run.dry_run else ""
    lines = [f"{tell('run {run}', run=run.id)}: {_term('status', run.status)}{dry}"]
    for direction, counts in run.counts.items():
        told = ", ".join(f"{number} {_term('outcome', outcome)}" for outcome, number in counts.items() if number)
        lines.append(f"  {_term('direction', direction)}: {told or tell('nothing read')}")
    if "inSync" in run.progress:
        pairs = {"number": run.progress["inSync"], "total": run.progress["coupled"]}
        lines.append(f"  {tell('in sync: {number} of {total} pairs', **pairs)}")
    if run.code is not None:
        lines.append(f"  {wording.say(run.code, run.params, shell.language()).message}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

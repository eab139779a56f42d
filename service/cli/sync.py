"""`accord sync`: a run from a shell, watched to its end."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

import click

from service import shell, wording
from service.cli.preparing import ACTOR, context_of, prepared, sentences
from service.cli.processes import GRACE
from service.operations import installation, mappings, run_groups, runs, upgrading
from service.operations.context import Context
from service.shell import tell, tell_count
from service.store.database import connection
from service.store.models import SyncRun
from service.worker import Worker


@click.command()
@click.argument("mapping", required=False)
@click.option("--all", "everything", is_flag=True, help="Every enabled mapping, in the order of their needs.")
@click.option("--dry-run", is_flag=True, help="Tell what would happen, and write nothing.")
@click.option("--full", "kind", flag_value="full", help="Look at all records, not only at those that changed.")
@click.option("--reconcile", "kind", flag_value="reconcile", help="Find what slipped, and say how much is in step.")
def sync(mapping: str | None, everything: bool, dry_run: bool, kind: str | None) -> None:
    """Synchronize MAPPING (its name or its id), or --all, now, and wait for the end."""
    if (mapping is None) != everything:
        raise click.UsageError("Say either which mapping, or --all.")
    with sentences():
        settings = prepared(migrating=False)
        context = context_of(settings)
        with connection():
            started = _start(context, mapping, kind or "modified", dry_run)
            if settings.queue_url is not None and not installation.workers(upgrading.living()):
                click.echo(wording.say("workers_alive.fail", {"count": 0}, shell.language()).message, err=True)
        # A worker of our own helps, since there may be no other; with a queue, they are processes of their own.
        helper = Worker(context, threads=1) if settings.queue_url is None else None
        ended = _watched(helper, started)
    for run in ended:
        click.echo(_summary(run))
    sys.exit(0 if all(run.status == "succeeded" for run in ended) else 1)


def _start(context: Context, mapping: str | None, kind: str, dry_run: bool) -> SyncRun:
    """Queue the run of a mapping, or those of all mappings, and return the first."""
    if mapping is None:
        group = run_groups.GroupRequest(kind=kind, dry_run=dry_run)
        return run_groups.start(context, group, ACTOR, trigger="cli")[0]
    id = int(mapping) if mapping.isdecimal() else mappings.id_of(mapping)
    return runs.start(context, runs.RunRequest(id, kind=kind, dry_run=dry_run), ACTOR, trigger="cli")


def _watched(helper: Worker | None, run: SyncRun) -> list[SyncRun]:
    """Wait for the end of a run, and of all that were asked for with it."""
    with ExitStack() as stack:
        if helper is not None:
            helper.start()
            stack.callback(helper.stop, GRACE)
        return _wait(lambda: _look(run))


def _look(run: SyncRun) -> list[SyncRun]:
    with connection():
        return [runs.get(run.id)] if run.group_id is None else run_groups.members(run.group_id)


def _wait(look: Callable[[], list[SyncRun]]) -> list[SyncRun]:
    """Look until all runs have ended, with a bar on a terminal as soon as it is known how much there is to read."""
    pause = threading.Event()
    with ExitStack() as shown:
        bar: Any = None
        while open_ones := [run for run in look() if run.status not in runs.FINISHED]:
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

"""`accord check`: what an operator should look at."""

from __future__ import annotations

import sys
from typing import Any

import click

from service import shell, wording
from service.cli.preparing import opened, sentences
from service.operations import checks, connections
from service.operations.context import Context
from service.shell import tell_count

_EVERYTHING = 500


@click.command()
def check() -> None:
    """Check the settings, the database and every connection."""
    with sentences(), opened() as context:
        statuses = [_check(context, row) for row in connections.list_connections(before=None, limit=_EVERYTHING)]
    click.echo(tell_count("{number} connection checked.", "{number} connections checked.", len(statuses)))
    sys.exit(1 if "fail" in statuses else 0)


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

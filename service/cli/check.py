"""`accord check`: what an operator should look at."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click

from service import shell, wording
from service.cli.preparing import Refused, opened, sentences
from service.connectors.base import Check
from service.operations import checks, connections, installation
from service.shell import tell, tell_count

_EVERYTHING = 500


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON, what is well too.")
def check(as_json: bool) -> None:
    """Check the settings, the database, the installation and every connection."""
    with _refusals(as_json), opened() as context:
        own = installation.inspect(context)
        connected = [
            (row.name, *checks.check(context, row.id))
            for row in connections.list_connections(before=None, limit=_EVERYTHING)
        ]
    if as_json:
        _print_json(own, connected)
    else:
        _print(tell("the installation"), checks.overall(own), own)
        for name, status, findings in connected:
            _print(name, status, findings)
        click.echo(tell_count("{number} connection checked.", "{number} connections checked.", len(connected)))
    statuses = [checks.overall(own), *(status for _, status, _ in connected)]
    sys.exit(1 if "fail" in statuses else 0)


@contextmanager
def _refusals(as_json: bool) -> Iterator[None]:
    """What keeps everything else from being checked is a finding too, where findings are asked for as JSON."""
    try:
        with sentences():
            yield
    except Refused as refused:
        if not as_json:
            raise
        _print_json([Check(refused.code, "fail", "administrator", {"detail": refused.message})], [])
        sys.exit(refused.exit_code)


def _print(name: str, status: str, findings: Sequence[Check]) -> None:
    click.echo(f"{_colored(status)}  {name}")
    for item in findings:
        if item.status in ("warn", "fail"):
            words = _words(item)
            click.echo(f"      {_colored(item.status)}  {words.message} {words.advice}".rstrip())


def _print_json(own: Sequence[Check], connected: Sequence[tuple[str, str, Sequence[Check]]]) -> None:
    statuses = [*own, *(item for _, _, findings in connected for item in findings)]
    shown = {
        "status": checks.overall(statuses),
        "findings": [_shown(item) for item in own],
        "connections": [
            {"name": name, "status": status, "findings": [_shown(item) for item in findings]}
            for name, status, findings in connected
        ],
    }
    click.echo(json.dumps(shown, ensure_ascii=False, indent=2))


def _shown(item: Check) -> dict[str, Any]:
    words = _words(item)
    said = {"title": words.title, "message": words.message, "advice": words.advice}
    return {"code": item.code, "status": item.status, "responsibility": item.responsibility, **said}


def _words(item: Check) -> wording.Said:
    return wording.say(item.code, {**item.params, "rule": item.status}, shell.language())


def _colored(status: str) -> str:
    color = {"pass": "green", "warn": "yellow", "fail": "red"}.get(status)
    return click.style(status.ljust(4), fg=color)

"""`accord apply` and `accord export`: connections and mappings as a file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

import click

from service import wording
from service.api.fields import camel
from service.api.setup_shapes import read as read_setup
from service.api.setup_shapes import written as written_setup
from service.api.setup_yaml import dump_yaml
from service.cli.preparing import ACTOR, Refused, opened, sentences
from service.operations import applying, exports, planning
from service.operations.linter import Finding
from service.operations.plan_findings import plan_findings
from service.shell import language, tell

_SIGNS = {"create": "+", "change": "~", "unchanged": "=", "kept": "!", "delete": "-"}

NOTHING_FOUND: Mapping[str, Sequence[Finding]] = {}


@click.command()
@click.argument("file", type=click.File(encoding="utf-8"))
@click.option("--dry-run", is_flag=True, help="Show what would change, and write nothing.")
@click.option("--prune", is_flag=True, help="Delete connections and mappings that the file does not name.")
def apply(file: TextIO, dry_run: bool, prune: bool) -> None:
    """Make connections and mappings what FILE (YAML or JSON, - for the standard input) says.

    Nothing is written unless all of it can be. {"fromEnvironment": "NAME"} stands for a secret; NAME_FILE may name a
    file that holds it.
    """
    with sentences(pointers=True), opened() as context:
        plan = planning.plan(context, read_setup(file.read()), _variable, prune=prune)
        click.echo(told(plan.changes, plan_findings(context, plan)))
        if not dry_run and not plan.empty:
            applying.carry_out(context, plan, ACTOR)
            context.wake()
    if plan.empty:
        click.echo(tell("Nothing to do."))
    else:
        click.echo(tell("Nothing was written (dry run).") if dry_run else tell("Done."))


@click.command("export")
@click.option("--format", "form", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True)
def export_command(form: str) -> None:
    """Print all connections and mappings as a file for `accord apply`, without secrets."""
    with sentences(), opened() as context:
        shown = written_setup(exports.export(context))
    click.echo(
        dump_yaml(shown) if form == "yaml" else json.dumps(shown, ensure_ascii=False, indent=2), nl=form == "json"
    )


def _variable(name: str) -> str | None:
    """A variable of the environment, or what the file holds that `<NAME>_FILE` names."""
    if name in os.environ:
        return os.environ[name]
    path = os.environ.get(f"{name}_FILE")
    try:
        return None if path is None else Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, ValueError) as error:
        raise Refused(tell("{name}_FILE cannot be read: {detail}", name=name, detail=error)) from error


def told(changes: Sequence[planning.Change], findings: Mapping[str, Sequence[Finding]] = NOTHING_FOUND) -> str:
    """A plan, a line for each item, each value that is to change or is kept otherwise, and each thing that is likely to
    go wrong with a mapping."""
    lines = []
    for change in changes:
        lines.append(f"{_SIGNS[change.action]} {change.noun} {change.name}")
        lines += [f"    {_difference(one)}" for one in change.differences]
        if change.noun == "mapping":
            lines += [f"    ? {_finding(one)}" for one in findings.get(change.name, ())]
    return "\n".join(lines)


def _finding(one: Finding) -> str:
    words = wording.say(one.code, one.params, language())
    return f"{one.pointer}: {words.message} {words.advice}".rstrip()


def _difference(one: planning.Difference) -> str:
    path = ".".join(camel(name) for name in one.path)
    if one.before is None and one.after is None:
        return f"{path}: changed"
    return f"{path}: {json.dumps(one.before, ensure_ascii=False)} -> {json.dumps(one.after, ensure_ascii=False)}"

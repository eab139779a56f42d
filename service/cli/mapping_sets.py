"""`accord sets`: ready-made mappings for applications that are well known."""

from __future__ import annotations

from collections.abc import Sequence

import click

from service import shell, wording
from service.api.mapping_sets import get, sets
from service.api.setup_shapes import compact_mappings, written_mappings
from service.api.setup_yaml import dump_yaml
from service.cli.preparing import ACTOR, Refused, opened, sentences
from service.cli.setup_file import told
from service.core.records import Side
from service.operations import mapping_sets
from service.shell import tell
from service.store import connections as connection_rows


@click.group("sets")
def sets_group() -> None:
    """Ready-made mapping sets for applications that are well known."""


@sets_group.command("list")
def list_sets() -> None:
    """List the sets, what they are for, and the parameters that they have."""
    language = shell.language()
    for name, found in sets().items():
        click.echo(f"{name}  {wording.term('mappingSet', name, language)}")
        for one in found.parameters:
            default = "" if one.default is None else f" ({one.default})"
            click.echo(f"    {one.name}{default}  {wording.term('setParameter', one.name, language)}")


@sets_group.command("show")
@click.argument("name")
def show_set(name: str) -> None:
    """Print the mappings of the set NAME, in the form of a setup file."""
    with sentences():
        click.echo(dump_yaml(written_mappings(compact_mappings(get(name).mappings))), nl=False)


@sets_group.command("apply")
@click.argument("name")
@click.option("--local", required=True, help="The connection of the local side, by its name.")
@click.option("--integration", required=True, help="The connection of the integration side, by its name.")
@click.option(
    "--set", "parameters", multiple=True, metavar="NAME=VALUE", help="A parameter; may be given several times."
)
@click.option("--rename", "names", multiple=True, metavar="NAME=NAME", help="Another name for a mapping of the set.")
@click.option("--only", "only", multiple=True, metavar="NAME", help="A mapping; those that it needs come along.")
@click.option("--overwrite", is_flag=True, help="Write over mappings that are there and otherwise.")
@click.option("--dry-run", is_flag=True, help="Show what would change, and write nothing.")
def apply_set(
    name: str,
    local: str,
    integration: str,
    parameters: Sequence[str],
    names: Sequence[str],
    only: Sequence[str],
    overwrite: bool,
    dry_run: bool,
) -> None:
    """Make the mappings of the set NAME for two connections.

    A mapping that is there and otherwise is kept, with every difference, unless --overwrite is given.
    """
    with sentences(pointers=True), opened() as context:
        found = get(name)
        choice = mapping_sets.Choice(
            {Side.LOCAL: _connection(local), Side.INTEGRATION: _connection(integration)},
            _pairs(parameters),
            _pairs(names),
            only,
            overwrite,
        )
        changes = mapping_sets.apply(context, found, choice, ACTOR, dry_run=dry_run)
        click.echo(told(changes))
    if all(change.action in ("unchanged", "kept") for change in changes):
        click.echo(tell("Nothing to do."))
    else:
        click.echo(tell("Nothing was written (dry run).") if dry_run else tell("Done."))


def _connection(name: str) -> int:
    row = next((row for row in connection_rows.everything() if row.name == name), None)
    if row is None:
        raise Refused(tell("There is no connection {name}.", name=name))
    return int(row.id)


def _pairs(given: Sequence[str]) -> dict[str, str]:
    pairs = [one.partition("=") for one in given]
    for name, sign, _ in pairs:
        if not sign:
            raise Refused(tell("Write {name} as NAME=VALUE.", name=name))
    return {name: value for name, _, value in pairs}

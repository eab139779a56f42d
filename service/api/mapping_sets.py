"""`/mapping-sets`: ready-made mappings for applications that are well known, and applying them to two connections."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from flask.views import MethodView
from marshmallow import fields

from service import wording
from service.api.access import actor, context
from service.api.errors import language
from service.api.fields import PLAIN, Answer, Body, Choice, Flag, Id, Items, Listed, Part, Said, Text, Texts, camel
from service.api.operation import Blueprint, operation
from service.api.paging import PageQuery, page, page_of
from service.api.setup_shapes import SetMappingAnswer, compact_mappings, read_set
from service.core.errors import NotFound
from service.core.records import Side
from service.operations import mapping_sets
from service.operations.mapping_sets import MappingSet, Parameter
from service.operations.planning import Change
from service.operations.tokens import Scope
from service.store import mappings as mapping_rows

blp = Blueprint("mapping sets", __name__, description="Ready-made mappings.")

EXAMPLE = {"localConnectionId": 1, "integrationConnectionId": 2, "names": {"customers": "customers of the CRM"}}

_NAME = {"in": "path", "name": "name", "example": "sql-customers", "schema": {"type": "string", "minLength": 1}}


@cache
def sets() -> dict[str, MappingSet]:
    """Every set that comes with the package, by name."""
    found = {}
    for file in sorted(files("service").joinpath("mapping_sets").iterdir(), key=lambda one: one.name):
        if file.name.endswith(".yaml"):
            name = file.name.removesuffix(".yaml")
            found[name] = _set(name, read_set(file.read_text(encoding="utf-8")))
    return found


def _set(name: str, loaded: dict[str, Any]) -> MappingSet:
    parameters = [Parameter(one["name"], one["default"]) for one in loaded["parameters"]]
    return MappingSet(name, {side: loaded[side.value] for side in Side}, parameters, loaded["mappings"])


def get(name: str) -> MappingSet:
    """One set. Raises NotFound."""
    if name not in sets():
        raise NotFound("mapping_set", name)
    return sets()[name]


class KindsAnswer(Answer):
    """The kinds of connections that a set is for, by side."""

    local = Listed(Said())
    integration = Listed(Said())


class ParameterAnswer(Answer):
    """Something that a set has to be told. `neededFor`: the mappings that cannot do without it."""

    name = Said()
    description = Said()
    default = Said(allow_none=True)
    needed_for = Listed(Said())


class SetItemAnswer(Answer):
    """A set, and the names of its mappings."""

    name = Said()
    description = Said()
    kinds = Part(KindsAnswer)
    parameters = Listed(Part(ParameterAnswer))
    mapping_names = Listed(Said())


class SetAnswer(SetItemAnswer):
    """A set with its mappings, in the form of a setup file; what is the default is left out."""

    mappings = Listed(Part(SetMappingAnswer))


class SetChoice(Body):
    """Two connections, and what is chosen of a set."""

    local_connection_id = Id(required=True)
    integration_connection_id = Id(required=True)
    parameters = Texts(Text(), load_default=dict, metadata={"description": "Values by name."})
    names = Texts(
        Text(min=1, max=200, pattern=PLAIN),
        load_default=dict,
        metadata={"description": "Other names for mappings of the set, by those that it has."},
    )
    mappings = Items(
        Text(min=1, max=200, pattern=PLAIN),
        max=100,
        load_default=list,
        metadata={"description": "Which mappings; those that they need come along. None: all of them."},
    )
    overwrite = Flag(load_default=False, metadata={"description": "Write over mappings that are there and otherwise."})
    dry_run = Flag(load_default=False, metadata={"description": "Say what would change, and write nothing."})


class DifferenceAnswer(Answer):
    """A value that is to change, or is kept; `path` leads to it."""

    path = Said()
    before = fields.Raw(allow_none=True)
    after = fields.Raw(allow_none=True)


class SetChangeAnswer(Answer):
    """What becomes of a mapping. `kept`: it is there and otherwise, and stays as it is."""

    action = Choice(("create", "change", "unchanged", "kept"))
    name = Said()
    mapping_id = Id(allow_none=True)
    differences = Listed(Part(DifferenceAnswer))


class AppliedAnswer(Answer):
    """What was done, or with `dryRun` what would be."""

    dry_run = Flag()
    changes = Listed(Part(SetChangeAnswer))


@blp.route("/mapping-sets")
class MappingSets(MethodView):
    @operation("listMappingSets", Scope.READ, links={"getMappingSet": {"name": "$response.body#/items/0/name"}})
    @blp.arguments(PageQuery, location="query")
    @blp.response(200, page_of(SetItemAnswer, "MappingSet"))
    def get(self, query: dict[str, Any]) -> Any:
        """List the ready-made mapping sets, by name."""
        after, limit = query["before"], query["limit"]
        found = [one for name, one in sets().items() if after is None or name > after]
        return page([_item(one) for one in found[: limit + 1]], limit, lambda item: item["name"])


@blp.route("/mapping-sets/<name>", parameters=[_NAME])
class OneMappingSet(MethodView):
    @operation("getMappingSet", Scope.READ, refuses=(404,))
    @blp.response(200, SetAnswer)
    def get(self, name: str) -> Any:
        """Show a mapping set with its mappings."""
        found = get(name)
        return {**_item(found), "mappings": compact_mappings(found.mappings)}


@blp.route("/mapping-sets/<name>/apply", parameters=[_NAME])
class AppliedMappingSet(MethodView):
    @operation("applyMappingSet", Scope.ADMIN, refuses=(404, 409))
    @blp.arguments(SetChoice, example=EXAMPLE)
    @blp.response(200, AppliedAnswer)
    def post(self, body: dict[str, Any], name: str) -> Any:
        """Make the mappings of a set for two connections.

        They are checked as if they were saved one by one; all problems are told at once, and then nothing is written.
        Applied a second time, a set leaves nothing to do. A mapping that is there and otherwise is `kept`, with every
        difference, unless `overwrite` says to write over it.
        """
        dry_run = body["dry_run"]
        choice = mapping_sets.Choice(
            {Side.LOCAL: body["local_connection_id"], Side.INTEGRATION: body["integration_connection_id"]},
            body["parameters"],
            body["names"],
            body["mappings"],
            body["overwrite"],
        )
        changes = mapping_sets.apply(context(), get(name), choice, actor(), dry_run=dry_run)
        ids = {found: id for id, found in mapping_rows.names().items()}
        return {"dry_run": dry_run, "changes": [_change(one, ids.get(one.name)) for one in changes]}


def _item(found: MappingSet) -> dict[str, Any]:
    return {
        "name": found.name,
        "description": wording.term("mappingSet", found.name, language()),
        "kinds": {side.value: list(kinds) for side, kinds in found.kinds.items()},
        "parameters": [_parameter(found, one) for one in found.parameters],
        "mapping_names": [one["name"] for one in found.mappings],
    }


def _parameter(found: MappingSet, one: Parameter) -> dict[str, Any]:
    needed = [mapping["name"] for mapping in found.mappings if one.name in mapping_sets.parameters_of(mapping)]
    description = wording.term("setParameter", one.name, language())
    return {"name": one.name, "description": description, "default": one.default, "needed_for": needed}


def _change(one: Change, id: int | None) -> dict[str, Any]:
    return {
        "action": one.action,
        "name": one.name,
        "mapping_id": id,
        "differences": [
            {"path": ".".join(map(camel, item.path)), "before": item.before, "after": item.after}
            for item in one.differences
        ],
    }

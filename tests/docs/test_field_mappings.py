"""The examples in docs/field-mappings.md become what the page says, and its parameters are those that there are."""

import json
import re
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from service.api import document
from service.core.records import Field, FieldType
from service.core.transforms import TRANSFORMS, chain, steps_back, steps_of, unfitting, wrong
from tests.docs.pages import blocks, page, rows, section

PAGE = page("docs/field-mappings.md")
TABLES = [row for row in rows(section(PAGE, "Transformations")) if row[0].startswith("`")]
EXAMPLES = [row for row in TABLES if row[0][1] in '"{']


def written(cell: str) -> Any:
    return json.loads(cell.strip("`"))


def name_of(step: Any) -> str:
    return step if isinstance(step, str) else next(iter(step))


@pytest.mark.parametrize("row", EXAMPLES, ids=lambda row: row[0][:50])
def test_example(row: list[str]) -> None:
    step, value, result = written(row[0]), written(row[2]), written(row[3])
    source = Field("field", FieldType(row[1]))
    target = Field("other", FieldType.LIST, parts=(Field("one", FieldType.STRING), Field("two", FieldType.STRING)))
    assert [*wrong([step]), *unfitting(steps_of([step]), source, target)] == []
    function = chain(steps_of([step]), source, target).function
    assert function is not None
    assert function(value) == result


def test_there_is_an_example_of_each() -> None:
    assert {name_of(written(row[0])) for row in EXAMPLES} == set(TRANSFORMS)


def test_parameters_and_the_way_back() -> None:
    for row in TABLES:
        if row in EXAMPLES:
            continue
        name = row[0].strip("`")
        told = re.findall(r"`(\w+)`(?= \(|,|$)", re.sub(r"\([^)]*\)", "(...)", row[1]))
        assert set(told) == set(TRANSFORMS[name].parameters) - {name}
        undone = [step.name for one in EXAMPLES if name_of(written(one[0])) == name for step in back(one)]
        assert set(undone) <= set(re.findall(r"`(\w+)`", row[3])), name
        assert bool(undone) == bool(row[3]) or name == "valueMap"


def back(row: list[str]) -> Any:
    return steps_back(steps_of([written(row[0])]))


def test_field_mappings_on_the_page() -> None:
    components = document.document()["components"]
    found = [json.loads(block.text) for block in blocks(PAGE) if block.language == "json"]
    assert len(found) > 2
    for line in found:
        if "templates" in line:
            shape = {"$ref": "#/components/schemas/MappingChanges", "components": components}
            Draft202012Validator(shape).validate(line)
            continue
        Draft202012Validator({"$ref": "#/components/schemas/FieldMappingShape", "components": components}).validate(
            line
        )
        for steps in line["transforms"].values():
            assert list(wrong(steps)) == []

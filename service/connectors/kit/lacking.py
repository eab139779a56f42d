"""What an application is without, said test by test, and held against what its connector says itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from service.connectors.base import Connector
from service.connectors.kit.application import CUSTOMER, SECOND, T0, People, failure_of, record_of
from service.connectors.kit.base import Part, left_out, listed
from service.core.failures import Failure
from service.core.records import Field, FieldType, Scalar

_SOME: Mapping[FieldType, Scalar] = {
    FieldType.DECIMAL: "1.5",
    FieldType.BOOLEAN: True,
    FieldType.DATE: "2026-01-01",
    FieldType.DATETIME: "2026-01-01T10:00:00.000000Z",
    FieldType.INTEGER: 1,
}
"""A value of each type; of any other, a text."""


def _refused(contract: type[Part]) -> dict[str, str]:
    return {name: name for name in contract.traits.refused}


class Lacking(Part):
    """Tests of what traits say that there is not."""

    @listed("missing", left_out)
    def test_what_is_left_out(self, people: People, connector: Connector, missing: frozenset[str]) -> None:
        """One for everything that the application is without, which no test expects then, and one for each test, or
        case of one, that is not put to it at all. Who has what is said to be missing is refused here."""
        for lack in sorted(missing):
            assert list(_CONTRADICTIONS[lack](self, people, connector)) == [], lack

    @listed("field", _refused)
    def test_what_the_application_refuses(self, connector: Connector, field: str) -> None:
        """A field that is said to be refused, though it can be written by its description."""
        described = connector.describe(self.traits.customer).fields[field]
        assert not described.read_only
        selection = replace(self.customers, fields=(*self.customers.fields, field))
        [made] = connector.insert(selection, [self.new("a", {"name": "n"})])
        value = described.options[0].value if described.options else _SOME.get(described.type, "text")
        for result in (
            *connector.insert(selection, [self.new("b", {"name": "n", field: value})]),
            *connector.update(selection, [self.change(record_of(made), {field: value})]),
        ):
            assert failure_of(result).code == "value_rejected"


def _writable(part: Part, connector: Connector) -> list[Field]:
    """The fields of a customer that can be written, without its key and what is said to be refused."""
    traits = part.traits
    others = {traits.key, *traits.key.split(","), traits.modified_on, *traits.refused}
    fields = connector.describe(traits.customer).fields
    return [field for name, field in fields.items() if not field.read_only and name not in others]


def _of_type(type: FieldType) -> Callable[[Part, People, Connector], Iterator[str]]:
    def found(part: Part, people: People, connector: Connector) -> Iterator[str]:  # noqa: ARG001  (one shape for all)
        return (field.name for field in _writable(part, connector) if field.type is type)

    return found


def _nullable(part: Part, people: People, connector: Connector) -> Iterator[str]:  # noqa: ARG001
    return (field.name for field in _writable(part, connector) if field.nullable)


def _required(part: Part, people: People, connector: Connector) -> Iterator[str]:  # noqa: ARG001
    return (field.name for field in _writable(part, connector) if field.required)


def _unique(part: Part, people: People, connector: Connector) -> Iterator[Failure]:  # noqa: ARG001
    """The refusal of a number that another customer has."""
    results = connector.insert(part.customers, [part.new(name, {"name": "n", "number": "N1"}) for name in "ab"])
    return (result for result in results if isinstance(result, Failure))


def _numbered(part: Part, people: People, connector: Connector) -> Iterator[str]:  # noqa: ARG001
    """Tables that could be `numbered`; without stamps, they are nothing that is synchronized."""
    described = (connector.describe(one.name) for one in connector.tables())
    return (table.name for table in described if table.generates_keys and table.modified_on is not None)


def _cuts(part: Part, people: People, connector: Connector) -> Iterable[str]:
    people.put_many((f"k{n:02}", T0 + n * SECOND, {"name": f"n{n}"}) for n in range(60))
    return connector.cut(part.customers, 10)


def _changes(part: Part, people: People, connector: Connector) -> Iterable[object]:  # noqa: ARG001
    said = connector.describe(part.traits.customer).tells_changes
    return [one for one in (said or None, connector.changes(part.customers, None)) if one is not None]


_CONTRADICTIONS: Mapping[str, Callable[[Part, People, Connector], Iterable[object]]] = {
    **{word: _of_type(field.type) for word, field in CUSTOMER.items() if field.type is not FieldType.STRING},
    "empty": _nullable,
    "required": _required,
    "unique": _unique,
    "once": _unique,
    "numbered": _numbered,
    "cuts": _cuts,
    "changes": _changes,
}
"""For each thing that may be missing: what shows that it is there."""

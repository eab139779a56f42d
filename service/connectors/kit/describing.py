"""What there is: tables, fields, and checks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.connectors.base import Check, Connector
from service.connectors.kit.application import CUSTOMER, failure_of, record_of
from service.connectors.kit.base import Part, needs
from service.core.failures import SideFailed
from service.core.records import Field, FieldType, Scalar


class Describing(Part):
    """Tests of `tables`, `describe` and `check`."""

    def test_tables_are_listed_by_name(self, connector: Connector) -> None:
        names = [table.name for table in connector.tables()]
        assert {self.traits.customer, self.traits.numbered} - {None} <= set(names)
        assert names == sorted(names)

    def test_a_table_is_described(self, connector: Connector) -> None:
        table = connector.describe(self.traits.customer)
        assert (table.name, table.key) == (self.traits.customer, self.traits.key)
        assert table.modified_on == self.traits.modified_on
        assert table.generates_keys is not self.traits.chosen_keys
        assert all(name == field.name for name, field in table.fields.items())
        assert all(one.fields and set(one.fields) <= table.fields.keys() for one in table.alternate_keys)
        assert table.fields[self.traits.key].type is self.traits.key_type
        assert table.fields[self.traits.modified_on].type is FieldType.DATETIME
        for word, declared in self.traits.fields.items():
            field = table.fields[declared.name]
            assert field.type is declared.type is CUSTOMER[word].type
            assert declared.length in (field.length, None)
            assert field.type is not FieldType.DECIMAL or (field.precision, field.scale) == _digits(declared)
            if word in ("name", "city"):
                assert (field.required, field.nullable) == (declared.required, declared.nullable)

    @needs("numbered")
    def test_a_table_that_generates_keys_says_so(self, connector: Connector) -> None:
        table = connector.describe(self.numbers.table)
        assert table.generates_keys
        assert not table.fields[self.traits.key].required

    def test_options_are_told_and_kept(self, connector: Connector) -> None:
        """Fields with options say which, and hold no other value; those of the kit have none."""
        fields = connector.describe(self.traits.customer).fields
        assert [name for name in self.customers.fields if fields[name].options] == []
        for name, values in self.traits.options.items():
            assert [one.value for one in fields[name].options] == list(values)
            assert all(one.label for one in fields[name].options)
            selection = replace(self.customers, fields=(self.name("name"), name))
            items = [self.new(f"{name}{place}", {"name": "n", name: value}) for place, value in enumerate(values)]
            written = connector.insert(selection, items)
            assert [record_of(one).values[1] for one in written] == list(values)
            neither: Scalar = 2_000_000_000 if fields[name].type is FieldType.INTEGER else "neither of them"
            [refused] = connector.insert(selection, [self.new("k", {"name": "n", name: neither})])
            assert failure_of(refused).code in ("value_rejected", "value_too_long")

    def test_what_is_missing_is_named(self, connector: Connector) -> None:
        with pytest.raises(SideFailed) as missing:
            connector.describe("nothing")
        assert missing.value.failure.code == "table_not_found"
        assert missing.value.failure.params["table"] == "nothing"
        with pytest.raises(SideFailed) as missing:
            connector.read(replace(self.customers, table="nothing"), None, None, 10)
        assert missing.value.failure.code == "table_not_found"
        with pytest.raises(SideFailed) as missing:
            connector.read(replace(self.customers, fields=(self.name("name"), "colour")), None, None, 10)
        assert missing.value.failure.code == "field_not_found"
        assert missing.value.failure.params["field"] == "colour"

    def test_checks_know_or_say_unknown(self, connector: Connector) -> None:
        checks = connector.check([self.customers])
        assert all(isinstance(check, Check) for check in checks)
        assert {check.status for check in checks} <= {"pass", "warn", "fail", "unknown"}
        assert {check.responsibility for check in checks} <= {"user", "administrator", "none"}
        found = {check.code: check.status for check in checks}
        assert found["reachable"] == "pass"
        assert found["conditional_updates"] == "pass"
        assert "exchange_rates" in found


def _digits(field: Field) -> tuple[int | None, int | None]:
    return field.precision, field.scale

"""What there is: tables, fields, and checks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.connectors.base import Check, Connector
from service.connectors.kit.application import FIELDS, failure_of, record_of
from service.connectors.kit.base import Part
from service.core.failures import SideFailed
from service.core.records import FieldType, Scalar


class Describing(Part):
    """Tests of `tables`, `describe` and `check`."""

    def test_tables_are_listed_by_name(self, connector: Connector) -> None:
        names = [table.name for table in connector.tables()]
        assert {self.traits.customer, self.traits.numbered} <= set(names)
        assert names == sorted(names)

    def test_a_table_is_described(self, connector: Connector) -> None:
        table = connector.describe(self.traits.customer)
        assert (table.name, table.key) == (self.traits.customer, self.traits.key)
        assert table.modified_on == self.traits.modified_on
        assert table.generates_keys is not self.traits.chosen_keys
        types = {
            self.traits.key: self.traits.key_type,
            "number": FieldType.STRING,
            "name": FieldType.STRING,
            "city": FieldType.STRING,
            "credit": FieldType.DECIMAL,
            "blocked": FieldType.BOOLEAN,
            "born": FieldType.DATE,
            "seen": FieldType.DATETIME,
            "visits": FieldType.INTEGER,
            self.traits.modified_on: FieldType.DATETIME,
        }
        assert {name: table.fields[name].type for name in types} == types
        assert all(name == field.name for name, field in table.fields.items())
        assert (table.fields["number"].length, table.fields["name"].length) == (20, 50)
        assert (table.fields["credit"].precision, table.fields["credit"].scale) == (10, 2)
        assert (table.fields["name"].required, table.fields["name"].nullable) == (True, False)
        assert (table.fields["city"].required, table.fields["city"].nullable) == (False, True)

    def test_a_table_that_generates_keys_says_so(self, connector: Connector) -> None:
        table = connector.describe(self.traits.numbered)
        assert table.generates_keys
        assert not table.fields[self.traits.key].required

    def test_options_are_told_and_kept(self, connector: Connector) -> None:
        """Fields with options say which, and hold no other value; those of the kit have none."""
        fields = connector.describe(self.traits.customer).fields
        told = {name: [one.value for one in field.options] for name, field in fields.items() if name in FIELDS}
        assert told == {name: [] for name in FIELDS}
        for name, values in self.traits.options.items():
            assert [one.value for one in fields[name].options] == list(values)
            assert all(one.label for one in fields[name].options)
            selection = replace(self.customers, fields=("name", name))
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
            connector.read(replace(self.customers, fields=("name", "colour")), None, None, 10)
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

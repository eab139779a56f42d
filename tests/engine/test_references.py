"""References: keys translated through other mappings' couplings, records that wait for others, and rings."""

from pathlib import Path
from typing import Any

import pytest

from service.core.errors import Conflict, Invalid
from service.operations import couplings, mappings, skipped
from service.operations.coupling_story import explain
from service.store import mappings as store
from service.store.database import database
from service.store.models import AwaitedRecord, Mapping, Retry
from service.worker import run_until_idle
from tests.trade import MAPPINGS, Trade
from tests.world import errors, line, records, tally


@pytest.fixture
def trade(state: str, tmp_path: Path) -> Trade:
    return Trade(tmp_path)


def test_a_key_is_translated_both_ways(trade: Trade) -> None:
    trade.map("customers", "contacts")
    bolt = trade.add("customer", number="1", name="Bolt")
    trade.add("contact", email="ann@bolt", customer_id=bolt)
    trade.add("account", accountid="nut", accountnumber="2", name="Nut")
    trade.add("crm_contact", contactid="ben", emailaddress="ben@nut", parentcustomerid="nut")
    trade.run("customers")
    done = trade.run("contacts")
    assert done.status == "succeeded"
    assert trade.one("crm_contact", "parentcustomerid", emailaddress="ann@bolt") == trade.partner("customers", bolt)
    nut = trade.one("customer", "id", number="2")
    assert trade.one("contact", "customer_id", email="ben@nut") == nut
    before = trade.everything()
    again = trade.run("contacts", "full")
    assert (again.status, trade.everything()) == ("succeeded", before), "what is translated is in step"


@pytest.mark.parametrize("detection", ["record", "field"])
def test_an_edit_of_a_reference_travels_in_both_directions(trade: Trade, detection: str) -> None:
    trade.map("customers", "contacts", conflict_detection=detection)
    bolt, nut = (trade.add("customer", number=number) for number in ("1", "2"))
    ann = trade.add("contact", email="ann", customer_id=bolt)
    trade.run("customers")
    trade.run("contacts")
    trade.edit("contact", ann, customer_id=nut)
    trade.run("contacts")
    assert trade.one("crm_contact", "parentcustomerid", emailaddress="ann") == trade.partner("customers", nut)
    trade.edit("crm_contact", trade.partner("contacts", ann), parentcustomerid=trade.partner("customers", bolt))
    trade.run("contacts")
    assert trade.one("contact", "customer_id", id=ann) == bolt


def test_both_sides_may_be_changed_to_the_same_record_in_their_own_words(trade: Trade) -> None:
    trade.map("customers", "contacts", conflict_detection="field")
    bolt, nut = (trade.add("customer", number=number) for number in ("1", "2"))
    ann = trade.add("contact", email="ann", customer_id=bolt)
    trade.run_all()
    trade.edit("contact", ann, customer_id=nut, name="Ann")
    trade.edit("crm_contact", trade.partner("contacts", ann), parentcustomerid=trade.partner("customers", nut))
    run = trade.run("contacts")
    assert (run.status, errors()) == ("succeeded", [])
    assert trade.facts("local")["contacts"] == trade.facts("integration")["contacts"]


@pytest.mark.parametrize("resolution", ["keepLocal", "keepIntegration", "merge"])
def test_a_conflict_of_references_is_resolved_in_the_words_of_each_side(trade: Trade, resolution: str) -> None:
    trade.map("customers", "contacts", conflict_detection="field")
    bolt, nut, cog = (trade.add("customer", number=number) for number in ("1", "2", "3"))
    ann = trade.add("contact", email="ann", customer_id=bolt)
    trade.run_all()
    trade.edit("contact", ann, customer_id=nut)
    trade.edit("crm_contact", trade.partner("contacts", ann), parentcustomerid=trade.partner("customers", cog))
    trade.run("contacts")
    (item,) = skipped.list_skipped(mapping_id=trade.mapping_ids["contacts"], status="open", limit=5)
    shown = skipped.show(trade.context, item.id)
    assert [field.state for field in shown.fields] == ["equal", "equal", "changedInBoth"]
    choices = {"customer_id": {"value": bolt}} if resolution == "merge" else None
    skipped.resolve(trade.context, item.id, resolution, choices, "anna")
    run_until_idle(trade.context)
    chosen = {"keepLocal": nut, "keepIntegration": cog, "merge": bolt}[resolution]
    assert trade.one("contact", "customer_id", id=ann) == chosen
    assert trade.one("crm_contact", "parentcustomerid", emailaddress="ann") == trade.partner("customers", chosen)


def test_asking_for_a_record_that_waits_says_so(trade: Trade) -> None:
    trade.map("customers", "contacts")
    ann = trade.add("contact", email="ann", customer_id=trade.add("customer", number="1"))
    trade.run("contacts")
    assert tally(trade.run("contacts", "records", local_keys=(str(ann),)), "toIntegration") == {"read": 1, "failed": 1}


def test_a_record_waits_without_an_error_for_each_and_follows_by_itself(trade: Trade) -> None:
    trade.map("customers", "contacts")
    bolt = trade.add("customer", number="1")
    for number in range(30):
        trade.add("contact", email=f"{number}@bolt", customer_id=bolt)
    done = trade.run("contacts")
    assert tally(done, "toIntegration") == {"read": 30, "failed": 30}
    (error,) = errors()
    assert (error.code, error.status, error.source_key) == ("reference_not_coupled", "open", None)
    assert error.direction == "toIntegration"
    seen = records(done)[0]
    assert seen.waits_for == [
        {
            "field": "customer_id",
            "mappingId": trade.mapping_ids["customers"],
            "mapping": "customers",
            "side": "local",
            "key": str(bolt),
        }
    ]
    assert seen.error_id == error.id
    for _ in range(3):
        quiet = trade.run("contacts")
        assert (quiet.status, tally(quiet, "toIntegration")) == ("succeeded", {}), "nobody asks before it is coupled"
    assert len(errors()) == 1
    trade.run("customers")
    released = trade.run("contacts")
    assert tally(released, "toIntegration") == {"read": 30, "inserted": 30}
    assert [error.status for error in errors()] == ["resolved"]
    assert (Retry.select().count(), AwaitedRecord.select().count()) == (0, 0)


def test_a_record_is_never_set_aside_for_waiting(trade: Trade) -> None:
    trade.map("customers", "contacts")
    bolt = trade.add("customer", number="1")
    trade.add("contact", email="ann", customer_id=bolt)
    for _ in range(3):
        done = trade.run("contacts", "full")
        assert tally(done, "toIntegration") == {"read": 1, "failed": 1}
    assert [error.status for error in errors()] == ["open"], "one error stands for all of it"


def test_coupling_by_hand_releases(trade: Trade) -> None:
    trade.map("customers", "contacts")
    bolt = trade.add("customer", number="1")
    trade.add("contact", email="ann", customer_id=bolt)
    trade.run("contacts")
    trade.add("account", accountid="other", accountnumber="99")
    couplings.create(trade.context, trade.mapping_ids["customers"], str(bolt), "other", "anna")
    assert tally(trade.run("contacts"), "toIntegration") == {"read": 1, "inserted": 1}
    assert trade.one("crm_contact", "parentcustomerid", emailaddress="ann") == "other"


def test_a_waiting_record_whose_reference_is_taken_back_waits_no_more(trade: Trade) -> None:
    trade.map("currencies", "customers", "contacts", "orders")
    euro, bolt = trade.add("currency", code="EUR"), trade.add("customer", number="1")
    ann = trade.add("contact", email="ann", customer_id=bolt)
    order = trade.add("sales_order", number="1", customer_id=bolt, currency_id=euro, contact_id=ann)
    trade.run("currencies")
    trade.run("customers")
    assert tally(trade.run("orders"), "toIntegration") == {"read": 1, "failed": 1}
    trade.edit("sales_order", order, contact_id=None)
    assert tally(trade.run("orders"), "toIntegration") == {"read": 1, "inserted": 1}
    assert [error.status for error in errors()] == ["resolved"]


def test_an_order_waits_for_the_last_of_what_it_refers_to(trade: Trade) -> None:
    trade.map("currencies", "customers", "contacts", "orders")
    euro, bolt = trade.add("currency", code="EUR"), trade.add("customer", number="1")
    trade.add("sales_order", number="1", customer_id=bolt, currency_id=euro)
    trade.run("orders")
    assert AwaitedRecord.select().count() == 2
    trade.run("currencies")
    trade.run("orders")
    assert [awaited.mapping_id for awaited in AwaitedRecord.select()] == [trade.mapping_ids["customers"]]
    trade.run("customers")
    assert tally(trade.run("orders"), "toIntegration") == {"read": 1, "inserted": 1}


def test_a_failed_lookup_may_clear_the_field(trade: Trade) -> None:
    trade.map("customers", "contacts")
    lines = [{**one, "clear_on_failed_lookup": True} for one in MAPPINGS["orders"][2]]
    trade.map("currencies")
    trade.map("orders", field_mappings=[line(**one) for one in lines])
    euro, bolt = trade.add("currency", code="EUR"), trade.add("customer", number="1")
    ann = trade.add("contact", email="ann", customer_id=bolt)
    trade.add("sales_order", number="1", customer_id=bolt, currency_id=euro, contact_id=ann)
    trade.run("currencies")
    trade.run("customers")
    assert tally(trade.run("orders"), "toIntegration") == {"read": 1, "inserted": 1}
    assert trade.one("salesorder", "contactid", ordernumber="1") is None
    trade.run("contacts")
    trade.run("orders", "full")
    assert trade.one("sales_order", "contact_id", number="1") == ann, "a field that was cleared does not flow back"


def test_records_of_one_table_that_refer_to_each_other_are_done_in_one_run(trade: Trade) -> None:
    trade.map("customers")
    ids = [trade.add("customer", number=str(number)) for number in range(6)]
    for child, parent in zip(ids, [*ids[1:], ids[0]], strict=True):
        trade.edit("customer", child, parent_id=parent)
    trade.add("account", accountid="top", accountnumber="top")
    trade.add("account", accountid="below", accountnumber="below", parentaccountid="top")
    done = trade.run("customers")
    assert done.status == "succeeded"
    for child, parent in zip(ids, [*ids[1:], ids[0]], strict=True):
        held = trade.one("account", "parentaccountid", accountid=trade.partner("customers", child))
        assert held == trade.partner("customers", parent)
    assert trade.one("customer", "parent_id", number="below") == trade.one("customer", "id", number="top")
    assert (Retry.select().count(), errors()) == (0, [])
    before = trade.everything()
    assert tally(trade.run("customers"), "toIntegration") == {}
    assert trade.everything() == before


@pytest.mark.parametrize("detection", ["record", "field"])
def test_a_ring_between_mappings_is_written_in_two_steps(trade: Trade, detection: str) -> None:
    trade.map("customers", "contacts", cycle=True, conflict_detection=detection)
    bolt = trade.add("customer", number="1")
    ann = trade.add("contact", email="ann", customer_id=bolt)
    trade.edit("customer", bolt, primary_contact_id=ann)
    first = trade.run("customers")
    assert (first.status, tally(first, "toIntegration")["inserted"]) == ("succeeded", 1)
    account = trade.partner("customers", bolt)
    assert trade.one("account", "primarycontactid", accountid=account) is None
    assert trade.one("customer", "primary_contact_id", id=bolt) == ann, "what could not be written is not taken back"
    (coupling,) = couplings.list_couplings(mapping_id=trade.mapping_ids["customers"], limit=1)
    reasons = [reason.code for reason in explain(trade.context, coupling.id).reasons]
    assert "waiting_for_reference" in reasons
    trade.run("contacts")
    second = trade.run("customers")
    assert tally(second, "toIntegration") == {"read": 1, "modified": 1}
    assert trade.one("account", "primarycontactid", accountid=account) == trade.partner("contacts", ann)
    before = trade.everything()
    trade.run("customers", "full")
    assert (trade.everything(), errors(), Retry.select().count()) == (before, [], 0)


def test_an_edit_is_not_held_up_by_a_reference_that_can_be_written_later(trade: Trade) -> None:
    trade.map("customers", "contacts", cycle=True)
    bolt = trade.add("customer", number="1", name="Bolt")
    trade.run("customers")
    ann = trade.add("contact", email="ann", customer_id=bolt)
    trade.edit("customer", bolt, name="Bolt & Co", primary_contact_id=ann)
    assert tally(trade.run("customers"), "toIntegration") == {"read": 1, "modified": 1}
    assert trade.one("account", "name", accountnumber="1") == "Bolt & Co"
    trade.edit("account", trade.partner("customers", bolt), name="Bolt Inc")
    trade.run("customers")
    assert trade.one("customer", "name", id=bolt) == "Bolt Inc"
    trade.run("contacts")
    trade.run("customers")
    assert trade.one("account", "primarycontactid", accountnumber="1") == trade.partner("contacts", ann)


def test_a_ring_that_cannot_be_broken_is_refused_by_name(trade: Trade) -> None:
    trade.map("customers", "contacts")
    with pytest.raises(Invalid) as refused:
        mappings.change(
            trade.context, trade.mapping_ids["customers"], {"depends_on": [trade.mapping_ids["contacts"]]}, None, "t"
        )
    (problem,) = refused.value.problems
    assert (problem.pointer, problem.code) == ("/dependsOn", "reference_ring")
    assert problem.params == {"ring": "customers → contacts → customers"}


def test_mistakes_in_references_are_all_named(trade: Trade) -> None:
    trade.map("customers")
    document = trade.document("contacts")
    document["field_mappings"] = [
        *document["field_mappings"][:2],
        line(local_field="customer_id", integration_field="parentcustomerid", reference={"mapping": "nobody"}),
        line(local_field="id", constant=1, direction="fromIntegration", reference={"mapping": "customers"}),
        line(
            local_field="name",
            integration_field="fullname",
            reference={"mapping": "customers"},
            transforms={"toIntegration": ["trim"]},
            enabled=False,
        ),
    ]
    with pytest.raises(Invalid) as refused:
        mappings.create(trade.context, document, "test")
    found = {(problem.pointer, problem.code) for problem in refused.value.problems}
    assert {
        ("/fieldMappings/2/reference/mapping", "reference_unknown"),
        ("/fieldMappings/3/reference", "reference_needs_both_fields"),
        ("/fieldMappings/4/transforms", "reference_with_transforms"),
    } <= found


def test_a_mapping_that_others_refer_to_stays(trade: Trade) -> None:
    trade.map("customers", "contacts")
    with pytest.raises(Conflict) as refused:
        mappings.delete(trade.context, trade.mapping_ids["customers"], None, "test")
    assert (refused.value.code, refused.value.params) == ("mapping_referenced", {"mappings": ["contacts"]})
    mappings.delete(trade.context, trade.mapping_ids["contacts"], None, "test")
    mappings.delete(trade.context, trade.mapping_ids["customers"], None, "test")
    assert Mapping.select().count() == 0, "a mapping that refers to itself does not keep itself"


def test_a_renamed_mapping_keeps_its_references_and_their_bases(trade: Trade) -> None:
    trade.map("customers", "contacts")
    ids = trade.mapping_ids
    changed = mappings.change(trade.context, ids["customers"], {"name": "clients"}, None, "test")
    assert changed["field_mappings"][2]["reference"] == {"mapping": "clients"}
    before = [line.id for line in store.lines([ids["contacts"]])[ids["contacts"]]]
    shown = mappings.get(ids["contacts"])
    assert shown["field_mappings"][2]["reference"] == {"mapping": "clients"}
    mappings.change(trade.context, ids["contacts"], {"field_mappings": shown["field_mappings"]}, None, "test")
    assert [line.id for line in store.lines([ids["contacts"]])[ids["contacts"]]] == before


def test_a_partner_that_was_created_again_is_referred_to_by_its_new_key(trade: Trade) -> None:
    trade.map("customers", deletion_conflict_resolution="restoreRecords")
    trade.map("contacts")
    bolt = trade.add("customer", number="1", name="Bolt")
    ann = trade.add("contact", email="ann", customer_id=bolt)
    trade.run("customers")
    trade.run("contacts")
    old = trade.partner("customers", bolt)
    trade.sql("integration", "DELETE FROM account")
    trade.edit("customer", bolt, name="Bolt again")
    trade.run("customers")
    new = trade.partner("customers", bolt)
    assert new != old
    trade.run("contacts")
    assert trade.one("crm_contact", "parentcustomerid", contactid=trade.partner("contacts", ann)) == new
    before = trade.everything()
    trade.run("contacts")
    assert trade.everything() == before


def test_the_other_way_round(trade: Trade) -> None:
    """A mapping may have the CRM as its local side, and still refer to one that has it as its integration side."""
    trade.map("customers")
    document = trade.document("contacts")
    document["local"], document["integration"] = document["integration"], document["local"]
    for one in document["field_mappings"]:
        one["local_field"], one["integration_field"] = one["integration_field"], one["local_field"]
    trade.mapping_ids["contacts"] = mappings.create(trade.context, document, "test")["id"]
    bolt = trade.add("customer", number="1")
    trade.add("contact", email="ann", customer_id=bolt)
    assert tally(trade.run("contacts"), "fromIntegration") == {"read": 1, "failed": 1}
    trade.run("customers")
    trade.run("contacts")
    assert trade.one("crm_contact", "parentcustomerid", emailaddress="ann") == trade.partner("customers", bolt)


def test_the_number_of_statements_does_not_grow_with_the_records(trade: Trade, monkeypatch: pytest.MonkeyPatch) -> None:
    trade.map("customers", "contacts")
    bolt = trade.add("customer", number="1")
    trade.run("customers")
    asked: list[str] = []
    original = database.execute_sql

    def counted(statement: str, *given: Any, **more: Any) -> Any:
        asked.append(statement)
        return original(statement, *given, **more)

    monkeypatch.setattr(database.obj, "execute_sql", counted)
    counts = []
    for number in (2, 200):
        for each in range(number):
            trade.add("contact", email=f"{number}.{each}", customer_id=bolt)
        asked.clear()
        trade.run("contacts")
        counts.append(len(asked))
    assert counts[1] <= counts[0] + 2

"""The history of a pair, and why it is not synchronized now."""

from service.operations import coupling_story, couplings
from tests.world import World, couple


def coupling_id(world: World, key: str) -> int:
    return couplings.list_couplings(mapping_id=world.mapping_id, local_key=key, limit=1)[0].id


def codes(world: World, key: str) -> list[str]:
    return [reason.code for reason in coupling_story.explain(world.context, coupling_id(world, key)).reasons]


def test_the_history_tells_every_change_with_its_rule_and_person(world: World) -> None:
    world.map()
    customer, account = couple(world, number="1", name="One")
    world.edit("local", customer, name="Two")
    world.run()
    world.edit("local", customer, name="Here")
    world.edit("integration", account, name="There")
    world.run()
    world.resolve(world.skips()[0], "keepLocal")
    story = coupling_story.history(coupling_id(world, customer), limit=10)
    assert [(one.outcome, one.rule, one.error_code) for one in story] == [
        ("modified", "keepLocal", None),
        ("skipped", None, None),
        ("skipped", None, "destination_modified_later"),
        ("modified", None, None),
        ("inserted", None, None),
    ]
    assert (story[0].by, story[0].trigger) == ("anna", "resolution")
    assert story[0].fields == [{"side": "integration", "field": "name", "before": "There", "after": "Here"}]
    assert len(coupling_story.history(coupling_id(world, customer), before=story[1].id, limit=1)) == 2


def test_an_update_policy_is_named(world: World) -> None:
    world.map(update_conflict_resolution="sendUpdateToIntegration")
    customer, account = couple(world, number="1", name="One")
    world.edit("local", customer, name="Here")
    world.edit("integration", account, name="There")
    world.run()
    assert coupling_story.history(coupling_id(world, customer), limit=1)[0].rule == "sendUpdateToIntegration"


def test_every_reason_is_found(world: World) -> None:
    world.map(local={"filter": [{"field": "blocked", "op": "eq", "value": ""}]})
    customer, account = couple(world, number="1", name="One")
    assert codes(world, customer) == ["in_step"]
    world.edit("local", customer, name="Two")
    assert codes(world, customer) == ["next_run_acts"]
    world.edit("local", customer, blocked="All")
    assert codes(world, customer) == ["outside_filter", "next_run_acts"]
    world.edit("local", customer, blocked="")
    world.edit("integration", account, name="There")
    assert "destination_modified_later" in codes(world, customer)
    world.run()
    assert codes(world, customer)[0] == "set_aside"
    world.delete("integration", account)
    assert "record_not_found" in codes(world, customer)
    world.change_mapping(enabled=False)
    assert codes(world, customer)[0] == "mapping_disabled"
    world.sql("integration", "ALTER TABLE account RENAME TO gone")
    assert "table_not_found" in codes(world, customer)


def test_a_failed_record_waits(world: World) -> None:
    world.map()
    customer, _ = couple(world, number="1", name="One")
    world.edit("local", customer, name="x" * 60)
    world.run()
    assert codes(world, customer) == ["waiting_for_retry", "value_too_long"]


def test_a_guard_is_a_reason(world: World) -> None:
    world.map(deletion_conflict_resolution="deletePartner")
    customer, _ = couple(world, number="1", name="One")
    couple(world, number="2", name="Two")
    world.sql("integration", "DELETE FROM account")
    assert world.run().code == "side_is_empty"
    assert codes(world, customer) == ["side_is_empty", "record_not_found"]

"""The main job: two tables become one truth, both ways, and a quiet run follows."""

from tests.world import World, couple, errors, records, tally


def test_new_records_are_inserted_and_coupled_both_ways(world: World) -> None:
    world.map()
    customer = world.add("local", number="10", name="Alfreds Futterkiste", city="Berlin", credit_limit=12.5)
    account = world.add(
        "integration", accountid="a-1", accountnumber="20", name="Antonio Moreno", address1_city="México"
    )
    run = world.run()
    assert run.status == "succeeded"
    assert tally(run, "toIntegration") == {"read": 1, "inserted": 1}
    assert tally(run, "fromIntegration") == {"read": 1, "inserted": 1}
    made = world.get("integration", world.partner("local", customer) or "")
    assert made is not None
    assert (made["accountnumber"], made["name"], made["address1_city"]) == ("10", "Alfreds Futterkiste", "Berlin")
    assert (made["creditlimit"], made["customertypecode"]) == (12.5, 3)
    back = world.get("local", world.partner("integration", account) or "")
    assert back is not None
    assert (back["number"], back["name"], back["city"], back["credit_limit"]) == (
        "20",
        "Antonio Moreno",
        "México",
        None,
    )


def test_a_second_run_writes_nothing(world: World) -> None:
    world.map()
    for number in range(5):
        world.add("local", number=str(number), name=f"Customer {number} ", city="Oslo")
        world.add("integration", accountid=f"a-{number}", accountnumber=f"x{number}", name=f"Account {number}")
    world.run()
    before = world.stamps()
    for kind in ("modified", "full", "modified"):
        run = world.run(kind)
        assert run.status == "succeeded"
        assert not {"inserted", "modified", "failed"} & (
            tally(run, "toIntegration").keys() | tally(run, "fromIntegration").keys()
        )
    assert world.stamps() == before


def test_edits_travel_in_both_directions(world: World) -> None:
    world.map()
    customer, account = couple(world, number="1", name="One", city="Oslo")
    world.edit("local", customer, name="One and a half")
    run = world.run()
    assert tally(run, "toIntegration") == {"read": 1, "modified": 1}
    assert (world.get("integration", account) or {})["name"] == "One and a half"
    world.edit("integration", account, address1_city="Bergen")
    run = world.run()
    assert tally(run, "fromIntegration") == {"read": 1, "modified": 1}
    assert (world.get("local", customer) or {})["city"] == "Bergen"
    change = records(run)[0].fields[0]
    assert change == {"side": "local", "field": "city", "before": "Oslo", "after": "Bergen"}
    assert errors() == []


def test_consecutive_edits_on_alternating_sides_are_no_conflicts(world: World) -> None:
    world.map()
    customer, account = couple(world, number="1", name="0")
    for number, side in enumerate(["integration", "integration", "local", "integration", "local", "local"], start=1):
        world.edit(side, customer if side == "local" else account, name=str(number))
        run = world.run()
        assert run.status == "succeeded", (number, side, run.counts)
        assert (world.get("local", customer) or {})["name"] == str(number)
        assert (world.get("integration", account) or {})["name"] == str(number)


def test_only_coupled_records_leaves_others_alone(world: World) -> None:
    world.map(synch_only_coupled_records=True)
    world.add("local", number="1", name="One")
    run = world.run()
    assert tally(run, "toIntegration") == {"read": 1, "ignored": 1}
    assert world.all("integration") == []


def test_an_edit_within_the_same_tick_is_not_lost(world: World) -> None:
    world.map()
    customer, account = couple(world, number="1", name="One")
    stamp = (world.get("local", customer) or {})["modified_at"]
    world.edit("local", customer, name="Two", modified_at=stamp + " ")
    world.edit("local", customer, modified_at=stamp)
    world.run()
    assert (world.get("integration", account) or {})["name"] == "Two"


def test_a_record_with_a_stamp_a_little_behind_the_watermark_is_found(world: World) -> None:
    world.map()
    couple(world, number="1", name="One")
    late = world.add("local", number="2", name="Late")
    world.sql("local", "DROP TRIGGER stamp_update")
    first = world.sql("local", "SELECT modified_at FROM customer WHERE number = '1'")[0][0]
    world.sql("local", "UPDATE customer SET modified_at = datetime(?, '-1 seconds') WHERE id = ?", first, late)
    run = world.run()
    assert tally(run, "toIntegration") == {"read": 1, "inserted": 1}

"""Couplings in the console: the search, a pair with its story, coupling by hand and its end."""

from __future__ import annotations

import re
from typing import Any

import pytest

from service.store import couplings as store
from service.store.database import connection
from tests.api.world import World
from tests.console.conftest import Person

NEW = "/console/couplings/new"
TWO = {"mapping": "1", "local_key": "c9", "integration_key": "a9"}


def found(text: str) -> list[int]:
    """The pairs of a list."""
    return [int(id) for id in re.findall(r'<td><a href="/console/couplings/(\d+)">', text)]


@pytest.mark.parametrize(
    ("query", "pairs"),
    [
        ("", [2, 1]),
        ("text=c1", [1]),
        ("text=10000", [1]),
        ("text=BERGSTR", [1]),
        ("text=söner", [1]),
        ("text=Noir", [2]),
        ("text=%25", []),
        ("text=_", []),
        ("text=%22", []),
        ("text=nobody", []),
        ("state=aside", [2]),
        ("state=synchronized", [1]),
        ("state=synchronized&text=Noir", []),
        ("state=aside&text=c2", [2]),
        ("mapping=1", [2, 1]),
        ("mapping=7", []),
        ("state=made-up", [2, 1]),
    ],
)
def test_pairs_are_found_by_key_value_state_and_mapping(lively: World, query: str, pairs: list[int]) -> None:
    assert found(Person(lively).look(f"/console/couplings?{query}")) == pairs


def test_what_is_in_the_names_of_a_base_is_no_value(lively: World) -> None:
    line = lively.sql("accord", "SELECT id FROM field_mappings WHERE local_field = 'name'")[0][0]
    assert f'"{line}":' in lively.sql("accord", "SELECT local_base FROM couplings WHERE id = 1")[0][0]
    lively.sql("accord", "UPDATE field_mappings SET id = 777 WHERE id = ?", line)
    for side in ("local", "integration"):
        lively.sql("accord", f"UPDATE couplings SET {side}_base = replace({side}_base, ?, ?)", f'"{line}":', '"777":')
    assert found(Person(lively).look("/console/couplings?text=777")) == []


def test_the_pages_of_a_search_hold_every_pair_once(lively: World, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ", ".join(row[1] for row in lively.sql("accord", "PRAGMA table_info(couplings)") if row[1] != "id")
    columns = names.replace("local_key", "local_key || id || ?").replace(
        "integration_key", "integration_key || id || ?"
    )
    for number in range(60):
        lively.sql(
            "accord", f"INSERT INTO couplings ({names}) SELECT {columns} FROM couplings WHERE id = 1", *[number] * 2
        )
    # The pair that is looked for is beyond what one look goes through.
    monkeypatch.setattr(store, "LOOKED_THROUGH", 20)
    seen: list[int] = []
    person, address, looks = Person(lively), "/console/couplings?text=Noir", 0
    while address:
        text = person.look(address)
        seen, looks = seen + found(text), looks + 1
        more = re.search(r'<a href="(\?[^"]+)" data-key="m"', text)
        assert ("older pairs to look through" in text) == (not found(text))
        address = "/console/couplings" + more[1].replace("&amp;", "&") if more else ""
    assert (seen, looks) == ([2], 4)
    every = [one.id for one in _all(limit=7)]
    assert every == sorted(every, reverse=True)
    assert len(set(every)) == len(every) == 62


def _all(limit: int) -> list[Any]:
    pairs: list[Any] = []
    before = None
    with connection():
        while True:
            some, before = store.search(1, "", None, before, limit)
            pairs += some
            if before is None:
                return pairs


def test_a_pair_shows_both_records_why_it_waits_and_its_story(lively: World) -> None:
    text = Person(lively).look("/console/couplings/2")
    assert "set aside (conflict)" in text
    assert 'href="/console/skipped/1">Resolve the skipped record 1.' in text
    plain = re.sub("</?mark>", "", text)
    assert "Noir &amp; Co" in plain
    assert "Le Café Noir" in plain
    assert "changed on both sides" in text
    story = re.findall(r"<li class=\"(\w+)\"><p><time", text)
    assert story == ["skipped", "skipped", "inserted"]
    assert "run 2" in text


def test_the_story_tells_fields_sides_and_who_decided(lively: World) -> None:
    lively.ask("POST", "/skipped/1/resolve", {"resolution": "keepLocal"})
    lively.work()
    text = Person(lively).look("/console/couplings/2")
    assert "Decided by: a person: keep the local record" in text
    assert re.search(r"integration</span> <bdi>name</bdi>: <bdi>Le Café Noir</bdi>.*<bdi>Noir &amp; Co</bdi>", text)
    assert "Both records are in step" in text


def test_links_open_both_records_and_nothing_else(lively: World) -> None:
    for id, template in ((1, "https://erp.example.com/{table}/{key}"), (2, "https://crm.example.com/{key}")):
        version = lively.ask("GET", f"/connections/{id}").headers["ETag"]
        changed = {"settings": {"linkTemplate": template}}
        assert lively.ask("PATCH", f"/connections/{id}", changed, If_Match=version).status_code == 200
    text = Person(lively).look("/console/couplings/1")
    assert re.findall(r'class="opens" href="([^"]+)"', text)[0] == "https://erp.example.com/customer/c1"
    assert len(re.findall(r'class="opens" href="https://crm\.example\.com/', text)) == 1


def test_an_application_that_cannot_be_reached_is_a_reason(lively: World) -> None:
    (lively.folder / "crm.db").write_text("this is no database, and never was one")
    text = Person(lively).look("/console/couplings/1")
    assert "is not a database" in text
    assert "Both records now" not in text
    assert "What runs did to it" in text


def test_one_pair_is_synchronized_alone(lively: World) -> None:
    person = Person(lively)
    lively.sql("erp", "UPDATE customer SET name = 'Bergström AB' WHERE id = 'c1'")
    lively.sql("erp", "INSERT INTO customer (id, number, name) VALUES ('c4', '40000', 'Left alone')")
    dry = person.send("/console/couplings/1/synchronize", dry_run="yes")
    lively.work()
    assert "Bergström AB" in person.look(dry.location)
    assert lively.sql("crm", "SELECT name FROM account WHERE accountnumber = '10000'") == [("Bergström & Söner",)]
    started = person.send("/console/couplings/1/synchronize")
    assert started.status_code == 303
    lively.work()
    assert lively.sql("crm", "SELECT name FROM account WHERE accountnumber = '10000'") == [("Bergström AB",)]
    assert not lively.sql("crm", "SELECT 1 FROM account WHERE accountnumber = '40000'")


def test_a_pair_is_uncoupled_after_a_look(lively: World) -> None:
    person = Person(lively)
    before = lively.contents()
    look = person.look("/console/couplings/2/uncouple")
    assert "Nothing has been done yet" in look
    assert "does not wait for a decision any more" in look
    assert lively.contents() == before
    version = re.search(r'name="version" value="(\d+)"', look)
    assert version is not None
    assert person.send("/console/couplings/2/uncouple", version=version[1]).status_code == 303
    assert found(person.look("/console/couplings")) == [1]
    assert not lively.get("/skipped?status=open")["items"]
    assert {item["key"] for item in lively.get("/exclusions")["items"]} >= {"c2"}
    assert person.send("/console/couplings/2/uncouple", version=version[1]).status_code == 404


def test_a_pair_that_has_moved_on_is_looked_at_again_before_it_is_uncoupled(lively: World) -> None:
    refused = Person(lively).send("/console/couplings/1/uncouple", version="99")
    assert refused.status_code == 409
    assert "Nothing has been done yet" in refused.text
    assert lively.get("/couplings/1")["id"] == 1


def test_two_records_are_looked_at_and_coupled(lively: World) -> None:
    person = Person(lively)
    before = lively.contents()
    look = person.look(f"{NEW}?mapping=1&local_key=c9&integration_key=a9")
    assert "They differ. Which values come first?" in look
    assert "Zo<mark>ë</mark>" in look
    assert lively.contents() == before
    made = person.send(NEW, **TWO)
    assert made.status_code == 303
    assert "Both records were changed" in person.look(made.location)
    assert len(found(person.look("/console/couplings?text=c9&state=waiting"))) == 1


@pytest.mark.parametrize(("first", "name"), [("local", "Zoë"), ("integration", "Zoe")])
def test_whose_values_come_first_is_said_by_a_person(lively: World, first: str, name: str) -> None:
    person = Person(lively)
    made = person.send(NEW, **TWO, first=first)
    assert made.status_code == 303
    lively.work()
    assert lively.sql("erp", "SELECT name FROM customer WHERE id = 'c9'") == [(name,)]
    assert lively.sql("crm", "SELECT name FROM account WHERE accountid = 'a9'") == [(name,)]
    text = person.look(made.location)
    assert f"Decided by: a person: keep the {first} record" in text
    assert "Both records are in step" in text
    assert lively.run()["counts"]["toIntegration"]["modified"] == 0


def test_a_record_that_moves_before_the_run_is_not_overwritten(lively: World) -> None:
    made = Person(lively).send(NEW, **TWO, first="local")
    lively.sql("crm", "UPDATE account SET name = 'Typed meanwhile' WHERE accountid = 'a9'")
    lively.work()
    assert lively.sql("crm", "SELECT name FROM account WHERE accountid = 'a9'") == [("Typed meanwhile",)]
    assert "set aside (conflict)" in Person(lively).look(made.location)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"local_key": "c1"}, "already coupled"),
        ({"integration_key": "nix"}, "There is no record with the key nix"),
        ({"mapping": "9"}, "There is no mapping"),
    ],
)
def test_what_cannot_be_coupled_is_said_beside_the_form(lively: World, change: dict[str, str], says: str) -> None:
    person = Person(lively)
    form = {**TWO, **change}
    query = "&".join(f"{name}={value}" for name, value in form.items())
    assert says in person.look(f"{NEW}?{query}", 422)
    refused = person.send(NEW, **form)
    assert refused.status_code == 409
    assert says in refused.text
    assert f'value="{form["local_key"]}"' in refused.text


def test_a_one_way_mapping_leaves_nothing_to_choose(lively: World) -> None:
    lively.ask("POST", "/skipped/1/resolve", {"resolution": "keepLocal"})
    lively.work()
    version = lively.ask("GET", "/mappings/1").headers["ETag"]
    changed = lively.ask("PATCH", "/mappings/1", {"direction": "toIntegration"}, If_Match=version)
    assert changed.status_code == 200, changed.text
    person = Person(lively)
    look = person.look(f"{NEW}?mapping=1&local_key=c9&integration_key=a9")
    assert "in the direction of the mapping" in look
    assert 'name="first"' not in look
    assert person.send(NEW, **TWO, first="integration").status_code == 409
    assert person.send(NEW, **TWO, first="local").status_code == 303
    lively.run()
    assert lively.sql("crm", "SELECT name FROM account WHERE accountid = 'a9'") == [("Zoë",)]

"""Making and changing a mapping by forms alone: what a browser without scripts would send."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from tests.api.world import World
from tests.console.conftest import Person

EDIT = "/console/mappings/1/edit"
NEW = "/console/mappings/new"
PLACES = "?local_connection=1&integration_connection=2&local_table=customer&integration_table=account"


class _Form(HTMLParser):
    """The values that a browser would send with the form of a mapping, without any button."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.values: dict[str, Any] = {}
        self.buttons: dict[str, list[str]] = {}
        self._inside = False
        self._select = ""
        self._option: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        name = given.get("name") or ""
        if tag == "form":
            self._inside = given.get("id") == "mapping-form"
        elif not self._inside:
            return
        elif tag == "input" and name and given.get("type") in ("checkbox", "radio"):
            if "checked" in given:
                self.values[name] = given.get("value") or ""
        elif tag == "input" and name:
            self.values[name] = given.get("value") or ""
        elif tag == "button" and name:
            self.buttons.setdefault(name, []).append(given.get("value") or "")
        elif tag == "select":
            self._select = name
            if "multiple" in given:
                self.values[name] = []
        elif tag == "option" and self._select:
            self._choose(given)

    def _choose(self, given: dict[str, str | None]) -> None:
        chosen = self.values.get(self._select)
        if isinstance(chosen, list):
            chosen.extend([given.get("value") or ""] if "selected" in given else [])
        elif "selected" in given or chosen is None:
            if "value" in given:
                self.values[self._select] = given["value"] or ""
            else:
                self._option = self._select

    def handle_data(self, data: str) -> None:
        if self._option:
            self.values[self._option], self._option = data, None

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = ""


def form(text: str, **changes: Any) -> dict[str, Any]:
    """The form of a page, with some of it changed; None unchecks."""
    values = {**_Form(text).values, **{name.replace("__", "."): value for name, value in changes.items()}}
    return {name: value for name, value in values.items() if value is not None}


def send(person: Person, path: str, given: dict[str, Any], **more: Any) -> Any:
    return person.client.post(path, data={**given, **more})


def stored(world: World, id: int = 1) -> dict[str, Any]:
    found: dict[str, Any] = world.get(f"/mappings/{id}")
    for name in ("status", "watermarks", "updatedAt"):
        del found[name]
    return found


def rich(world: World) -> None:
    """Give the mapping one of everything that a form has to leave alone."""
    lines = [
        {"localField": "number", "integrationField": "accountnumber", "matchKey": 1, "normalize": ["case", "accents"]},
        {"localField": "name", "integrationField": "name", "notNull": True,
         "transforms": {"toIntegration": ["trim", {"truncate": {"length": 50}}], "fromIntegration": []}},
        {"localField": "city", "integrationField": "city", "enabled": False},
        {"localField": "credit_limit", "integrationField": "creditlimit", "direction": "toIntegration"},
        {"integrationField": "customertypecode", "constant": 3, "direction": "toIntegration"},
    ]  # fmt: skip
    body = {
        "fieldMappings": lines,
        "schedule": {"cron": "0 6 * * 1-5", "timeZone": "Europe/Oslo"},
        "local": {
            "filter": [
                {"field": "credit_limit", "op": "lt", "value": 1000.5},
                {"field": "city", "op": "in", "value": ["Oslo", "Bergen"]},
                {"field": "name", "op": "isNull", "value": False},
                {"field": "number", "op": "ge", "value": "10000"},
            ]
        },
        "templates": [{"direction": "toIntegration", "values": {"city": "Nowhere"}, "filter": []}],
        "maxDeleteCount": 7,
    }
    answer = world.ask("PATCH", "/mappings/1", body, If_Match="*")
    assert answer.status_code == 200, answer.text


def test_a_form_that_nobody_touched_changes_nothing(lively: World) -> None:
    rich(lively)
    before = stored(lively)
    person = Person(lively)
    saved = send(person, EDIT, form(person.look(EDIT)), action="save")
    assert saved.status_code == 303, saved.text
    assert stored(lively) == before
    rows = lively.sql("accord", "SELECT full_read_due FROM mappings")
    person = Person(lively)
    assert send(person, EDIT, form(person.look(EDIT)), action="check").status_code == 200
    assert lively.sql("accord", "SELECT full_read_due FROM mappings") == rows


def test_everything_can_be_changed(lively: World) -> None:
    lively.ask("POST", "/skipped/1/resolve", {"resolution": "keepLocal"})
    lively.work()
    person = Person(lively)
    given = form(
        person.look(EDIT),
        name="Kunder",
        direction="toIntegration",
        enabled=None,
        synch_only_coupled_records="yes",
        conflict_detection="field",
        update_conflict_resolution="newestWins",
        deletion_conflict_resolution="restoreRecords",
        max_delete_percent="5",
        max_delete_count="",
        schedule="every",
        every_minutes="15",
        slowest_minutes="60",
        local__caption="Kunde",
        local__filter__0__field="credit_limit",
        local__filter__0__op="gt",
        local__filter__0__value="12",
        line__1__to="trim, upper",
        line__2__remove="yes",
        line__4__local_field="credit_limit",
        line__4__integration_field="creditlimit",
        line__4__match_key="2",
    )
    saved = send(person, EDIT, given, action="save")
    assert saved.status_code == 303, re.findall(r'class="remark[^>]*>([^<]*)', saved.text)
    now = stored(lively)
    assert (now["name"], now["direction"], now["enabled"]) == ("Kunder", "toIntegration", False)
    assert now["schedule"] == {"everyMinutes": 15, "slowestMinutes": 60}
    assert (now["maxDeletePercent"], now["maxDeleteCount"]) == (5, None)
    assert now["local"]["filter"] == [{"field": "credit_limit", "op": "gt", "value": 12}]
    assert now["local"]["caption"] == "Kunde"
    pairs = [(one["localField"], one["integrationField"]) for one in now["fieldMappings"]]
    assert pairs == [
        ("number", "accountnumber"), ("name", "name"), (None, "customertypecode"), ("credit_limit", "creditlimit")
    ]  # fmt: skip
    assert now["fieldMappings"][1]["transforms"] == {"toIntegration": ["trim", "upper"]}
    assert now["fieldMappings"][2]["constant"] == 3
    assert now["fieldMappings"][3]["matchKey"] == 2


def test_what_is_wrong_is_said_beside_its_line_and_what_was_typed_stays(lively: World) -> None:
    person = Person(lively)
    before = stored(lively)
    given = form(
        person.look(EDIT),
        line__1__integration_field="nix",
        line__2__match_key="many",
        line__2__to="[not json",
        max_delete_percent="200",
        schedule="cron",
        cron="every day",
        name="",
    )
    for action, status in (("save", 422), ("check", 200)):
        answer = send(person, EDIT, given, action=action)
        assert answer.status_code == status
        rows = re.findall(r'<tr class="said"><td colspan="5">(.*?)</td></tr>', answer.text, re.DOTALL)
        assert len(rows) == (2 if action == "save" else 1)
        assert 'value="many"' in answer.text
        assert 'value="[not json"' in answer.text
        assert "must be a whole number" in rows[-1]
        assert "This must be from 0 to 100" in answer.text
        assert 'value="200"' in answer.text
    assert "no cron expression" in send(person, EDIT, given, action="save").text
    assert "nix" in send(person, EDIT, given, action="save").text
    assert stored(lively) == before


def test_the_linter_speaks_beside_the_lines_of_the_form(lively: World) -> None:
    person = Person(lively)
    given = form(person.look(EDIT), line__1__to='[{"truncate": {"length": 5}}]')
    answer = send(person, EDIT, given, action="check")
    assert answer.status_code == 200
    said = re.search(r'<tr class="wrong">\s*<td[^>]*><input type="text" name="line\.1\.', answer.text)
    assert said is not None
    assert 'class="remark warning"' in answer.text


def test_two_people_edit(lively: World) -> None:
    ada, bea = Person(lively), Person(lively)
    adas, beas = form(ada.look(EDIT)), form(bea.look(EDIT))
    assert send(ada, EDIT, {**adas, "name": "Adas"}, action="save").status_code == 303
    refused = send(bea, EDIT, {**beas, "max_delete_percent": "33"}, action="save")
    assert refused.status_code == 409
    assert "changed since you read it" in refused.text
    assert "Adas" in refused.text
    assert 'value="33"' in refused.text
    assert stored(lively)["name"] == "Adas"
    assert stored(lively)["maxDeletePercent"] == 20
    again = send(bea, EDIT, form(refused.text), action="save")
    assert again.status_code == 303
    now = stored(lively)
    assert (now["name"], now["maxDeletePercent"]) == ("customers", 33)


def test_a_new_mapping_from_suggestions_accepted_one_by_one(lively: World) -> None:
    assert lively.ask("DELETE", "/mappings/1").status_code == 204
    person = Person(lively)
    assert "erp" in person.look(NEW)
    places = person.look(NEW + "?local_connection=1&integration_connection=2")
    assert '<option value="customer">' in places
    text = person.look(NEW + PLACES)
    suggestions = _Form(text).buttons["accept"]
    assert '["number","accountnumber","bidirectional",1]' in suggestions
    first = send(person, NEW, form(text, name="made here"), accept=suggestions[0])
    assert _Form(first.text).buttons["accept"] == suggestions[1:]
    second = send(
        person, NEW, form(first.text), accept=[one for one in suggestions[1:] if '"na' in one or '"nu' in one]
    )
    given = form(
        second.text, schedule="cron", cron="0 6 * * *", time_zone="Europe/Oslo", synch_only_coupled_records=None
    )
    looked = send(person, NEW, given, action="look")
    assert len(re.findall("<li><time", looked.text)) == 5
    checked = send(person, NEW, form(looked.text), action="check")
    assert checked.status_code == 200
    assert not lively.get("/mappings")["items"]
    saved = send(person, NEW, form(looked.text), action="save")
    assert saved.status_code == 303, re.findall(r'class="remark[^>]*>([^<]*)', saved.text)
    made = stored(lively, int(saved.location.rsplit("/", 1)[1]))
    assert made["name"] == "made here"
    assert {one["localField"] for one in made["fieldMappings"]} >= {"number", "name"}
    assert len(made["fieldMappings"]) == len({one["localField"] for one in made["fieldMappings"]}) < len(suggestions)
    assert made["schedule"] == {"cron": "0 6 * * *", "timeZone": "Europe/Oslo"}


@pytest.mark.parametrize("accept", ["nix", "[1,2,3,4]", '["a","b","sideways",null]', "{}", '["a"]'])
def test_a_made_up_suggestion_is_none(lively: World, accept: str) -> None:
    person = Person(lively)
    answer = send(person, EDIT, form(person.look(EDIT)), accept=accept)
    assert answer.status_code == 200
    assert form(answer.text)["line.4.local_field"] == ""


@pytest.mark.parametrize("value", ["x" * 5000, "\0\u0007", "[[[[", "9" * 40])
def test_nonsense_in_any_field_is_refused_with_an_answer(lively: World, value: str) -> None:
    person = Person(lively)
    page = form(person.look(EDIT))
    before = stored(lively)
    typed = {name: value for name, old in page.items() if name not in ("csrf", "version") and isinstance(old, str)}
    answer = send(person, EDIT, {**page, **typed}, action="save")
    assert answer.status_code == 422
    for name in (name for name in typed if not name.startswith("line") or name.startswith("line.1.")):
        assert send(person, EDIT, {**page, name: value}, action="look").status_code == 200, name
    assert stored(lively) == before


def test_an_application_that_is_away_can_still_be_renamed_around(lively: World) -> None:
    rich(lively)
    person = Person(lively)
    text = person.look(EDIT)
    (lively.folder / "crm.db").write_text("this is no database, and never was one")
    assert "Edit customers" in person.look(EDIT)
    saved = send(person, EDIT, form(text, name="renamed"), action="save")
    assert saved.status_code == 303
    assert stored(lively)["name"] == "renamed"
    refused = send(person, EDIT, form(person.look(EDIT), line__1__to="upper"), action="save")
    assert refused.status_code == 422
    assert "is not a database" in refused.text

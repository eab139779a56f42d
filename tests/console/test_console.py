"""The console as a browser without scripts sees it: who may come in, what is shown, and what a form does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote

import pytest

from service.console.session import COOKIE
from service.store.database import database
from tests.api.world import TOKEN, World
from tests.console.conftest import Person

PAGES = (
    "/console",
    "/console/skipped",
    "/console/skipped?mapping=1&reason=conflict",
    "/console/skipped/1",
    "/console/skipped/many?mapping=1&resolution=keepLocal",
    "/console/errors",
    "/console/runs",
    "/console/runs?mapping=1",
    "/console/runs/1",
    "/console/couplings",
    "/console/couplings?text=Noir&state=aside",
    "/console/couplings?text=nobody",
    "/console/couplings/2",
    "/console/mappings",
    "/console/mappings/1",
    "/console/connections",
    "/console/connections/1/tables",
    "/console/connections/2/tables?text=acc",
    "/console/connections/1/tables/customer",
)
OPERATING = (
    "/console/couplings/2/uncouple",
    "/console/couplings/new",
    "/console/couplings/new?mapping=1&local_key=c9&integration_key=a9",
    "/console/runs/new?mapping=1",
)
"""Pages before something is done, for those who may do it."""
ADMINISTERING = (
    "/console/mappings/1/delete",
    "/console/mappings/1/edit",
    "/console/mappings/new",
    "/console/mappings/new?local_connection=1&integration_connection=2",
    "/console/mappings/new?local_connection=1&integration_connection=2&local_table=customer&integration_table=account",
)
CHECKED = ("/console/mappings/1?findings=yes",)
"""A page that asks the applications for more than the others of its kind."""
EVERY = (*PAGES, *CHECKED, *OPERATING, *ADMINISTERING)
FORMS: tuple[tuple[str, dict[str, str]], ...] = (
    ("/console/runs", {"mapping": "1", "kind": "modified"}),
    ("/console/runs/1/cancel", {}),
    ("/console/skipped/1", {"resolution": "keepLocal"}),
    ("/console/skipped/many", {"id": "1", "resolution": "keepLocal"}),
    ("/console/connections/1/check", {}),
    ("/console/errors/clean-up", {"age": "all", "confirmed": "yes"}),
    ("/console/runs/1/carry-out", {}),
    ("/console/mappings/1/delete", {"version": "1"}),
    ("/console/mappings/1/edit", {"version": "1", "name": "other", "action": "save"}),
    ("/console/mappings/new", {"local_connection": "1", "local_table": "customer", "action": "save"}),
    ("/console/couplings/1/synchronize", {}),
    ("/console/couplings/1/uncouple", {"version": "1"}),
    ("/console/couplings/new", {"mapping": "1", "local_key": "c9", "integration_key": "a9"}),
)
"""Every form that changes something, filled in."""


POSTED: tuple[tuple[str, dict[str, str]], ...] = (
    ("/console/connections/1/check", {}),
    ("/console/errors/clean-up", {"age": "all"}),
    ("/console/skipped/1", {"resolution": "merge"}),
    ("/console/skipped/many", {"id": "999", "resolution": "keepLocal"}),
    ("/console/couplings/new", {"mapping": "1", "local_key": "c1", "integration_key": "a9"}),
    ("/console/couplings/1/uncouple", {"version": "99"}),
    ("/console/mappings/1/edit", {"action": "save", "version": "0", "name": "other", "line.0.local_field": "nix"}),
    ("/console/mappings/1/edit", {"action": "suggest", "suggesting": "yes", "line.0.local_field": "nix"}),
    ("/console/runs", {"mapping": "1", "kind": "nix"}),
)
"""Forms that are answered by a page of their own, and change nothing."""


# Coming in


def test_who_is_not_signed_in_is_asked_to_and_comes_back(lively: World) -> None:
    client = lively.app.test_client()
    asked = client.get("/console/skipped?mapping=1")
    assert (asked.status_code, asked.location) == (303, "/console/sign-in?next=/console/skipped?mapping=1")
    shown = client.get(asked.location)
    assert 'name="next" value="/console/skipped?mapping=1"' in shown.text
    answer = client.post("/console/sign-in", data={"token": TOKEN, "next": "/console/skipped?mapping=1"})
    assert answer.location == "/console/skipped?mapping=1"
    assert client.get(answer.location).status_code == 200


@pytest.mark.parametrize("wanted", ["https://evil.example/", "//evil.example/console", "/console\\@evil", "/docs", ""])
def test_nobody_is_led_elsewhere(lively: World, wanted: str) -> None:
    answer = lively.app.test_client().post("/console/sign-in", data={"token": TOKEN, "next": wanted})
    assert answer.location == "/console"


def test_the_cookie(lively: World) -> None:
    answer = lively.app.test_client().post("/console/sign-in", data={"token": TOKEN})
    cookie = answer.headers["Set-Cookie"]
    assert all(part in cookie for part in ("HttpOnly", "SameSite=Strict", "Path=/console", "Max-Age=43200"))
    assert "Secure" not in cookie
    assert TOKEN not in cookie
    behind_tls = lively.app.test_client().post("/console/sign-in", data={"token": TOKEN}, base_url="https://localhost")
    assert "Secure" in behind_tls.headers["Set-Cookie"]


def test_a_wrong_token_and_a_form_of_another_site_let_nobody_in(lively: World) -> None:
    client = lively.app.test_client()
    refused = client.post("/console/sign-in", data={"token": "nix"})
    assert refused.status_code == 403
    assert "unknown, expired or revoked" in refused.text
    foreign = client.post("/console/sign-in", data={"token": TOKEN}, headers={"Sec-Fetch-Site": "cross-site"})
    assert foreign.status_code == 403
    assert client.get_cookie(COOKIE, path="/console") is None


def test_a_session_ends_with_its_token_and_by_signing_out(lively: World) -> None:
    token = lively.token("read")
    reader = Person(lively, token)
    reader.look("/console")
    id = lively.get("/tokens")["items"][0]["id"]
    assert lively.ask("DELETE", f"/tokens/{id}").status_code == 204
    assert reader.client.get("/console").status_code == 303
    person = Person(lively)
    assert person.send("/console/sign-out").status_code == 303
    assert person.client.get("/console").status_code == 303


def test_a_cookie_that_was_made_up_is_none(lively: World) -> None:
    person = Person(lively)
    cookie = person.client.get_cookie(COOKIE, path="/console")
    assert cookie is not None
    for value in (cookie.value[:-2] + "xx", "nix", ""):
        person.client.set_cookie(COOKIE, value, path="/console")
        assert person.client.get("/console").status_code == 303


# What a form may do


@pytest.mark.parametrize(("path", "form"), FORMS)
def test_a_form_without_its_word_changes_nothing(lively: World, path: str, form: dict[str, str]) -> None:
    person = Person(lively)
    before = lively.contents()
    for csrf in ({}, {"csrf": "wrong"}):
        refused = person.client.post(path, data={**form, **csrf})
        assert refused.status_code == 403
        assert "too old" in refused.text
    assert lively.contents() == before


@pytest.mark.parametrize(("path", "form"), FORMS)
def test_a_reader_changes_nothing_and_sees_no_buttons_for_it(lively: World, path: str, form: dict[str, str]) -> None:
    reader = Person(lively, lively.token("read"))
    before = lively.contents()
    refused = reader.send(path, **form)
    assert refused.status_code == 403
    assert "scope operate" in refused.text or "scope admin" in refused.text
    assert lively.contents() == before
    for page in PAGES:
        assert not re.search(
            r'<form[^>]*method="post" action="/console/(runs|errors|skipped/many|couplings|mappings|connections)',
            reader.look(page),
        )
    for page in OPERATING:
        assert "scope operate" in reader.look(page, 403)
    for page in ADMINISTERING:
        assert "scope admin" in reader.look(page, 403)
    assert "choice:" not in reader.look("/console/skipped/1")
    assert 'name="resolution"' not in reader.look("/console/skipped/1")


@pytest.mark.parametrize("page", [*EVERY, "/console/sign-in", "/console/nothing-here"])
def test_the_policy_allows_nothing_of_others_and_nothing_inline(lively: World, page: str) -> None:
    person = Person(lively)
    answer = person.client.get(page)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    if page != "/console/nothing-here":
        assert answer.headers["Cache-Control"] == "no-store"
        assert not re.search(r"<[^>]+\s(style|on\w+)=|<style|<script(?![^>]*src=)|javascript:", answer.text)
        assert not re.search(r"""(?:src|href|action)=["'](?:https?:)?//""", answer.text)


# What pages show


def test_the_overview_puts_first_what_needs_a_person(lively: World) -> None:
    text = Person(lively).look("/console")
    assert "1 record waits for a decision" in text
    assert "1 open error" in text
    assert "<svg" in text
    assert "completed with errors" in text


def test_a_record_is_decided_field_by_field(lively: World) -> None:
    person = Person(lively)
    text = person.look("/console/skipped/1")
    assert "<mark>Le " in text
    assert "changed on both sides" in text
    version = re.search(r'name="version" value="(\d+)"', text)
    assert version is not None
    form = {"resolution": "merge", "version": version[1], "choice:name": "value", "value:name": "Noir SA"}
    answer = person.send("/console/skipped/1", **form)
    assert answer.status_code == 303
    lively.work()
    assert lively.sql("erp", "SELECT name FROM customer WHERE id = 'c2'") == [("Noir SA",)]
    assert lively.sql("crm", "SELECT name FROM account WHERE accountnumber = '20000'") == [("Noir SA",)]
    assert "Noir SA" in person.look(answer.location)
    assert "not open any more" in person.look("/console/skipped/1")


def test_what_is_missing_is_said_and_the_record_is_shown_again(lively: World) -> None:
    refused = Person(lively).send("/console/skipped/1", resolution="merge")
    assert refused.status_code == 409
    assert "Say which value to keep for the field name" in refused.text
    assert "as it is now" in refused.text


def test_when_somebody_was_faster_the_record_is_shown_as_it_is_now(lively: World) -> None:
    person = Person(lively)
    person.look("/console/skipped/1")
    lively.sql("crm", "UPDATE account SET name = 'Somebody was here' WHERE accountnumber = '20000'")
    refused = person.send("/console/skipped/1", resolution="keepLocal")
    assert refused.status_code == 409
    assert "nothing was written" in refused.text
    assert "Somebody was here" in re.sub("</?mark>", "", refused.text)
    assert lively.sql("crm", "SELECT name FROM account WHERE accountnumber = '20000'") == [("Somebody was here",)]


def test_many_are_looked_at_and_then_resolved(lively: World) -> None:
    person = Person(lively)
    before = lively.contents()
    preview = person.look("/console/skipped/many?mapping=1&resolution=keepLocal")
    assert "done to 1 record" in preview
    assert lively.contents() == before
    done = person.send("/console/skipped/many", id="1", resolution="keepLocal")
    assert "1 record is being resolved" in done.text
    lively.work()
    assert lively.sql("crm", "SELECT name FROM account WHERE accountnumber = '20000'") == [("Noir & Co",)]
    again = person.send("/console/skipped/many", id="1", resolution="keepLocal")
    assert "1 record was left as it is" in again.text


def test_errors_are_cleaned_up_after_a_look(lively: World) -> None:
    person = Person(lively)
    text = person.look("/console/errors")
    assert "Both records were changed" in text
    assert "Who can do it: user" in text
    preview = person.send("/console/errors/clean-up", age="all")
    assert "0 errors would be deleted" in preview.text
    assert "1 error is kept" in preview.text
    lively.ask("POST", "/skipped/1/resolve", {"resolution": "keepLocal"})
    lively.work()
    assert "1 error would be deleted" in person.send("/console/errors/clean-up", age="all").text
    assert lively.get("/errors")["items"]
    assert "1 error was deleted" in person.send("/console/errors/clean-up", age="all", confirmed="yes").text
    assert not lively.get("/errors")["items"]
    assert "There are no errors" in person.look("/console/errors")


def test_the_clean_up_says_what_goes_and_what_is_kept_and_why(lively: World) -> None:
    person = Person(lively)
    names = ", ".join(row[1] for row in lively.sql("accord", "PRAGMA table_info(errors)") if row[1] != "id")
    for _ in range(3):
        lively.sql("accord", f"INSERT INTO errors ({names}) SELECT {names} FROM errors WHERE id = 1")
    rate_limited = names.replace(" code,", " 'rate_limited',")
    lively.sql("accord", f"INSERT INTO errors ({names}) SELECT {rate_limited} FROM errors WHERE id = 1")
    retried = lively.sql("accord", "SELECT max(id) FROM errors")[0][0]
    lively.sql(
        "accord",
        "INSERT INTO retries (mapping_id, side, key, attempts, error_id, since) VALUES (1, 'local', 'c1', 1, ?, 1)",
        retried,
    )
    preview = person.send("/console/errors/clean-up", age="all").text
    rows = re.findall(r'<th scope="row">(.*?)</th>' + r'<td class="number"[^>]*>(\d+)</td>' * 3, preview)
    assert rows == [("Both records were changed", "3", "1", "0"), (rows[1][0], "0", "0", "1")]
    assert "3 errors would be deleted" in preview
    assert "2 errors are kept" in preview
    done = person.send("/console/errors/clean-up", age="all", confirmed="yes").text
    assert re.findall(r'<td class="number"[^>]*>(\d+)</td>', done)[:3] == ["3", "1", "0"]
    assert len(lively.get("/errors")["items"]) == 2


def test_a_cause_has_a_trend_by_day(lively: World) -> None:
    person = Person(lively)
    names = ", ".join(row[1] for row in lively.sql("accord", "PRAGMA table_info(errors)") if row[1] != "id")
    for days in (1, 3, 3, 20):
        earlier = names.replace("occurred_at", f"occurred_at - {days} * 86400000000")
        lively.sql("accord", f"INSERT INTO errors ({names}) SELECT {earlier} FROM errors WHERE id = 1")
    text = person.look("/console/errors")
    assert "Errors on each of the last 14 days: 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1, 1" in text
    assert re.findall(r'height="(\d+)"><title>(\d+)</title>', text) == [("24", "2"), ("12", "1"), ("12", "1")]


def test_how_old_an_unsynchronized_change_may_be(lively: World) -> None:
    person = Person(lively)
    assert "Synchronized up to" in person.look("/console")
    lively.sql("accord", "UPDATE sync_runs SET started_at = started_at - 7200000000, kind = kind")
    assert re.search(r"Synchronized up to</dt><dd[^>]*>2 hours ago", person.look("/console"))
    assert re.search(r"Synchronized up to</dt><dd[^>]*>2 hours ago", person.look("/console/mappings/1"))


def test_a_run_tells_when_it_will_be_done(lively: World) -> None:
    person = Person(lively)
    started = person.send("/console/runs", mapping="1", kind="full")
    progress = '{"read": 1500, "rate": 10.0, "estimate": 3000, "remainingSeconds": 150}'
    lively.sql("accord", "UPDATE sync_runs SET status = 'running', progress = ? WHERE status = 'queued'", progress)
    text = person.look(started.location)
    assert "1,500 records, 10 a second" in text
    assert "will be done in 2 minutes" in text or "will be done in 3 minutes" in text
    assert '<progress max="3000" value="1500"' in text


def test_a_run_is_started_watched_and_cancelled(lively: World) -> None:
    person = Person(lively)
    started = person.send("/console/runs", mapping="1", kind="full", dry_run="yes")
    assert started.status_code == 303
    text = person.look(started.location)
    assert "data-going" in text
    assert '<noscript><meta http-equiv="refresh"' in text
    lively.work()
    ended = person.look(started.location)
    assert "data-going" not in ended
    assert "What would happen" in ended
    again = person.send("/console/runs", mapping="1", kind="full")
    assert person.send(again.location + "/cancel").location == again.location
    assert "cancelled" in person.look(again.location)
    refused = person.send(again.location + "/cancel")
    assert refused.status_code == 409
    assert lively.get(again.location.removeprefix("/console").replace("runs", "sync-runs"))["trigger"] == "console"


def test_a_connection_is_checked_with_advice(lively: World) -> None:
    person = Person(lively)
    fine = person.send("/console/connections/1/check").text
    assert "The business application can be reached." in fine
    (lively.folder / "crm.db").write_text("this is no database, and never was one")
    broken = person.send("/console/connections/2/check").text
    assert re.search(r'role="status"><span class="badge fail">failed', broken)
    assert "is not a database" in broken
    assert "Who can do it: administrator." in broken


def test_what_is_not_there_is_said_on_a_page(lively: World) -> None:
    person = Person(lively)
    for path in ("/console/skipped/999", "/console/runs/999", "/console/couplings/999", "/console/mappings/999"):
        assert "There is no" in person.look(path, 404)


# Languages


def test_the_language_is_that_of_the_browser_until_one_is_chosen(lively: World) -> None:
    person = Person(lively, language="fr")
    assert "1 enregistrement attend une décision" in person.look("/console")
    chosen = person.client.post("/console/language", data={"language": "cs", "next": "/console/skipped"})
    assert chosen.location == "/console/skipped"
    text = person.look("/console")
    assert '<html lang="cs">' in text
    assert "Na rozhodnutí čeká 1 záznam" in text
    assert "Změnily se oba záznamy" in person.look("/console/errors")
    person.client.post("/console/language", data={"language": "en"})
    assert "waits for a decision" in person.look("/console")


@pytest.mark.parametrize(("path", "form"), POSTED)
def test_what_answers_a_form_changes_nothing_and_keeps_the_policy(
    lively: World, path: str, form: dict[str, str]
) -> None:
    person = Person(lively)
    before = lively.contents()
    answer = person.send(path, **form)
    assert answer.status_code < 500
    assert "<h1>" in answer.text
    assert not re.search(r"<[^>]+\s(style|on\w+)=|<style|<script(?![^>]*src=)|javascript:", answer.text)
    assert lively.contents() == before


@pytest.mark.parametrize("language", ["nb", "cs", "fr"])
@pytest.mark.parametrize("page", EVERY)
def test_every_page_can_be_said_in_every_language(lively: World, page: str, language: str) -> None:
    assert "<h1>" in Person(lively, language=language).look(page)


# What records hold is text


class _Elements(HTMLParser):
    """The names of all elements, and all text."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += [name for name, _ in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'><svg onload=alert(3)>&amp;\u202e\u0007"


def test_markup_and_control_characters_in_records_are_text_on_every_page(lively: World) -> None:
    lively.sql("erp", "UPDATE customer SET name = ?, city = ? WHERE id = 'c1'", "a" + HOSTILE, HOSTILE)
    lively.sql("crm", "UPDATE account SET name = ?, city = ? WHERE accountnumber = '10000'", "b" + HOSTILE, HOSTILE)
    lively.sql("erp", "INSERT INTO customer (id, number, name) VALUES (?, ?, ?)", HOSTILE, "66", HOSTILE)
    assert lively.ask("PATCH", "/mappings/1", {"name": HOSTILE}, If_Match="*").status_code in (200, 422)
    run = lively.run(kind="full")
    person = Person(lively)
    aside = lively.get("/skipped?status=open")["items"][0]["id"]
    seen = ""
    lively.sql("erp", "INSERT INTO customer (id, number, name) VALUES (?, ?, ?)", "free" + HOSTILE, "77", HOSTILE)
    lively.sql("crm", "INSERT INTO account (accountid, name) VALUES (?, ?)", "free" + HOSTILE, "b" + HOSTILE)
    key = quote("free" + HOSTILE)
    pair = lively.get("/couplings?limit=1")["items"][0]["id"]
    own = (
        f"/console/skipped/{aside}",
        f"/console/runs/{run['id']}",
        f"/console/couplings/{pair}",
        f"/console/couplings?text={quote(HOSTILE)}",
        f"/console/couplings/new?mapping=1&local_key={key}&integration_key={key}",
    )
    for page in (*PAGES, *CHECKED, *ADMINISTERING, *own):
        found = _Elements()
        found.feed(person.look(page))
        assert found.names.count("script") == 1, page
        assert "img" not in found.names
        assert not [name for name in found.attributes if name.startswith("on")], page
        seen += found.text
    assert "<script>alert(1)</script>" in seen


# What a page costs


@contextmanager
def statements() -> Iterator[list[str]]:
    """Every statement that our own database is given meanwhile."""
    asked: list[str] = []
    opened: Any = database.obj
    original = opened.execute_sql

    def noting(sql: str, *args: Any, **kwargs: Any) -> Any:
        asked.append(sql)
        return original(sql, *args, **kwargs)

    opened.execute_sql = noting
    try:
        yield asked
    finally:
        del opened.execute_sql


@pytest.mark.parametrize(
    "page",
    [
        "/console",
        "/console/skipped",
        "/console/errors",
        "/console/runs",
        "/console/runs/1",
        "/console/couplings",
        "/console/couplings?text=o",
        "/console/couplings/2",
        "/console/mappings",
        "/console/mappings/1",
    ],
)
def test_many_rows_take_no_more_statements(lively: World, page: str) -> None:
    person = Person(lively)
    with statements() as few:
        person.look(page)
    tables = {
        "mappings": ("name",),
        "sync_runs": ("request_key",),
        "skipped_records": ("local_key", "integration_key"),
        "run_records": ("source_key",),
        "couplings": ("local_key", "integration_key"),
    }
    for table, keys in tables.items():
        columns = _others(lively, table, "id", "coupling_id", *keys)
        copied = ", ".join(f"{key} || number" for key in keys)
        coupled = ("coupling_id, ", "2, ") if table == "run_records" else ("", "")
        lively.sql(
            "accord",
            f"WITH RECURSIVE counted(number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM counted WHERE number < 40)"
            f" INSERT INTO {table} (id, {', '.join(keys)}, {coupled[0]}{columns})"
            f" SELECT id + 1000 + number, {copied}, {coupled[1]}{columns}"
            f" FROM (SELECT * FROM {table} ORDER BY id LIMIT 1) CROSS JOIN counted",
        )
    with statements() as many:
        person.look(page)
    assert len(many) <= len(few) + 1
    assert len(many) < 20


def _others(world: World, table: str, *without: str) -> str:
    named = [row[1] for row in world.sql("accord", f"PRAGMA table_info({table})")]
    return ", ".join(name for name in named if name not in without)


def test_what_needs_a_person_comes_first_among_many_mappings(lively: World) -> None:
    others = _others(lively, "mappings", "id", "name")
    for number in range(80):
        lively.sql(
            "accord",
            f"INSERT INTO mappings (id, name, {others}) SELECT 101 + ?, 'a' || ?, {others} FROM mappings WHERE id = 1",
            number,
            str(number),
        )
    headings = re.findall(r'<h2 id="m(\d+)">', Person(lively).look("/console"))
    assert (len(headings), headings[0]) == (81, "1")

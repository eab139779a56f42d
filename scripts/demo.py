"""Accord at work: two small business databases, the real service, and the whole story through its HTTP API.

`scripts/demo` keeps serving afterwards until Ctrl-C; with `--once` it ends with exit code 0. Whatever is not as the
story says ends it with exit code 1 and shows the answer. `--folder` keeps the databases; it must be new or empty.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from scripts import demo_screen as screen
from scripts.demo_console import Visitor
from scripts.demo_databases import CUSTOMERS, DIFFERING, KNOWN, OWN, PAYMENT_TERMS, Application, make_crm, make_erp
from scripts.live_service import Answer, Service, Unexpected, running_service

FIELD_MAPPINGS: list[dict[str, Any]] = [
    {"localField": "number", "integrationField": "accountnumber", "matchKey": 1},
    {"localField": "name", "integrationField": "name", "transforms": {"toIntegration": ["trim"]}},
    {"localField": "street", "integrationField": "address1_line1"},
    {"localField": "postal_code", "integrationField": "address1_postalcode"},
    {"localField": "city", "integrationField": "address1_city"},
    {"localField": "country", "integrationField": "address1_country"},
    {"localField": "phone", "integrationField": "telephone1"},
    {"localField": "credit_limit", "integrationField": "creditlimit", "direction": "toIntegration"},
    {"integrationField": "customertypecode", "constant": 3, "direction": "toIntegration"},
]

WORK = ("inserted", "modified", "deleted", "failed")
"""The counters of a run that are zero when nobody changed anything."""


def expect(holds: bool, claim: str, shown: object = "") -> None:
    """Say what is so; end the story if it is not."""
    if not holds:
        raise Unexpected(f"This should be so, and is not: {claim}\n{shown}")
    screen.say(f"{screen.colored('ok', 'green')}  {claim}")


class Story:
    """The service, the two applications, and the mapping between their customers and accounts."""

    def __init__(self, service: Service, erp: Application, crm: Application) -> None:
        self.service, self.erp, self.crm = service, erp, crm
        self.connections: dict[str, int] = {}
        self.mapping = 0
        self.pages: list[str] = []

    def ask(self, method: str, path: str, body: Any = None, status: int = 200, **headers: str) -> Answer:
        """Send a request, show it, and insist on the status of its answer."""
        answer = self.service.ask(method, path, body, **headers)
        screen.request(method, path, body, answer.status)
        if answer.status != status:
            raise Unexpected(f"{method} {path} should have been answered {status}, and was answered {answer}")
        return answer

    def run(self, status: str = "succeeded", **request: Any) -> Any:
        """Start a run, wait for its end, and show its counters."""
        body = {"mappingId": self.mapping, **request}
        return self.end(self.ask("POST", "/sync-runs", body, 202).body["id"], status)

    def end(self, run_id: int, status: str = "succeeded") -> Any:
        """Wait for a run's end and show its counters."""
        run = self.service.end_of_run(run_id)
        if run["status"] != status:
            raise Unexpected(f"The run should have ended as {status}: {run}")
        screen.say(f"run {run['id']} ({run['kind']}) {screen.colored(run['status'], 'bold')}")
        columns = ["read", *(name for name in run["counts"]["toIntegration"] if name != "read")]
        used = [name for name in columns if any(counts[name] for counts in run["counts"].values())] or ["read"]
        screen.table(
            ["direction", *used],
            [(direction, *(counts[name] for name in used)) for direction, counts in run["counts"].items()],
        )
        return run

    def stamps(self) -> list[tuple[Any, ...]]:
        """Every record's stamp in both applications: untouched as long as nobody writes."""
        return self.erp.ask("SELECT id, modified_at FROM customer ORDER BY id") + self.crm.ask(
            "SELECT accountid, modifiedon FROM account ORDER BY accountid"
        )

    def account_of(self, number: str) -> tuple[Any, ...]:
        """Name, city and phone number of an account."""
        return self.crm.ask("SELECT name, address1_city, telephone1 FROM account WHERE accountnumber = ?", number)[0]

    def key_of(self, number: str) -> str:
        """The key of a customer."""
        return str(self.erp.value("SELECT id FROM customer WHERE number = ?", number))

    def customer_of(self, number: str) -> tuple[Any, ...]:
        """Name, city and phone number of a customer."""
        return self.erp.ask("SELECT name, city, phone FROM customer WHERE number = ?", number)[0]


def connect(story: Story) -> None:
    """Connect both applications."""
    for name, application, template in (
        ("erp", story.erp, "https://erp.example/{table}/{key}"),
        ("crm", story.crm, "https://crm.example/{table}?id={key}"),
    ):
        body = {"name": name, "kind": "sql", "settings": {"url": application.url, "linkTemplate": template}}
        id = story.ask("POST", "/connections", body, 201).body["id"]
        story.connections[name] = id
        checked = story.ask("POST", f"/connections/{id}/check").body
        expect(checked["status"] == "pass", f"{name} can be worked with", checked)
    found = story.ask("GET", f"/connections/{story.connections['crm']}/tables/account").body
    screen.table(
        ["field", "type", "length", "required"],
        [(field["name"], field["type"], field["length"], field["required"]) for field in found["fields"]],
    )
    expect((found["key"], found["modifiedOn"]) == ("accountid", "modifiedon"), "key and stamp were found", found)


def map_tables(story: Story) -> None:
    """Map customers to accounts."""
    wrong = [*FIELD_MAPPINGS, {"localField": "fax", "integrationField": "name"}]
    body = {
        "name": "customers",
        "local": {"connectionId": story.connections["erp"], "table": "customer", "caption": "Customer"},
        "integration": {"connectionId": story.connections["crm"], "table": "account", "caption": "Account"},
        "fieldMappings": wrong,
        "synchOnlyCoupledRecords": False,
    }
    refused = story.ask("POST", "/mappings", body, 422).body
    screen.table(["where", "what is wrong"], [(item["pointer"], item["detail"]) for item in refused["errors"]])
    expect(len(refused["errors"]) == 2, "a mapping that cannot work is refused, with all its problems at once", refused)
    made = story.ask("POST", "/mappings", {**body, "fieldMappings": FIELD_MAPPINGS}, 201).body
    story.mapping = made["id"]
    screen.table(
        ["customer", "direction", "account"],
        [
            (line["localField"] or f"the constant {line['constant']}", line["direction"], line["integrationField"])
            for line in made["fieldMappings"]
        ],
    )


def match(story: Story) -> None:
    """Couple what both applications know already."""
    screen.say(f"The ERP has {CUSTOMERS} customers; the CRM knows {KNOWN} of them, {DIFFERING} by another name.")
    counts = story.run("completedWithErrors", kind="match")["counts"]["toIntegration"]
    expect(counts["coupled"] == KNOWN, f"{KNOWN} pairs were coupled by their number", counts)
    aside = story.ask("GET", f"/skipped?mappingId={story.mapping}&status=open").body["items"]
    expect(len(aside) == DIFFERING, f"the {DIFFERING} pairs that differ were set aside for a person", aside)
    chosen = {"resolution": "keepLocal", "filter": {"mappingId": story.mapping, "reason": "conflict"}}
    results = story.ask("POST", "/skipped/resolve", chosen, 202).body["items"]
    expect(len(results) == DIFFERING, "the person says: in these, the ERP is right", results)
    story.end(results[0]["runId"])
    expect(not story.service.get("/skipped?status=open")["items"], "no record is set aside any more")


def synchronize(story: Story) -> None:
    """Synchronize for the first time."""
    plan = story.run(dryRun=True)["counts"]
    expect(story.crm.value("SELECT count(*) FROM account") == KNOWN + OWN, "a dry run writes nothing", plan)
    counts = story.run()["counts"]
    expect(counts["toIntegration"]["inserted"] == CUSTOMERS - KNOWN, "the CRM got the customers it lacked", counts)
    expect(counts["fromIntegration"]["inserted"] == OWN, "the ERP got the accounts it lacked", counts)
    expect(_names(story.erp, "customer", "number") == _names(story.crm, "account", "accountnumber"), "the names agree")
    screen.table(
        ["number", "name", "city", "phone"],
        story.crm.ask("SELECT accountnumber, name, address1_city, telephone1 FROM account ORDER BY 1 LIMIT 4"),
    )


def _names(application: Application, table: str, number: str) -> list[tuple[Any, ...]]:
    return application.ask(f"SELECT {number}, name FROM {table} ORDER BY 1, 2")


def rest(story: Story) -> None:
    """Synchronize again, with nothing to do."""
    before = story.stamps()
    screen.say("The CRM stores new postal codes without blanks, so that what it holds is not what was written.")
    counts = story.run()["counts"]
    quiet = not any(side[name] for side in counts.values() for name in WORK)
    expect(quiet and story.stamps() == before, "nothing was written: every stamp is as it was", counts)


def edit(story: Story) -> None:
    """Edit a record on each side."""
    screen.happens("ERP", "customer C10000 moves to Ålesund")
    story.erp.do("UPDATE customer SET city = 'Ålesund' WHERE number = 'C10000'")
    screen.happens("CRM", "account C10010 gets another phone number")
    story.crm.do("UPDATE account SET telephone1 = '+47 55 00 11 22' WHERE accountnumber = 'C10010'")
    run = story.run()
    records = story.ask("GET", f"/sync-runs/{run['id']}/records").body["items"]
    screen.table(
        ["written to", "field", "before", "after"],
        [(item["side"], item["field"], item["before"], item["after"]) for one in records for item in one["fields"]],
    )
    expect(story.account_of("C10000")[1] == "Ålesund", "the CRM has the new city", story.account_of("C10000"))
    expect(story.customer_of("C10010")[2] == "+47 55 00 11 22", "the ERP has the new phone number")


def disagree(story: Story) -> None:
    """Edit one record on both sides: a conflict."""
    screen.happens("ERP", "customer C10020 is renamed to 'Fjordglimt Café AS'")
    story.erp.do("UPDATE customer SET name = 'Fjordglimt Café AS' WHERE number = 'C10020'")
    screen.happens("CRM", "account C10020 is renamed to 'Café Fjordglimt', and gets another phone number")
    story.crm.do(
        "UPDATE account SET name = 'Café Fjordglimt', telephone1 = '+47 70 10 20 30' WHERE accountnumber = 'C10020'"
    )
    before = story.stamps()
    run = story.run("completedWithErrors")
    expect(story.stamps() == before, "neither record was touched")
    error = story.ask("GET", f"/errors?runId={run['id']}").body["items"][0]
    screen.say(f"{screen.colored(error['code'], 'red')}: {error['message']}")
    screen.say(f"source {error['source']['url']}  destination {error['destination']['url']}")
    expect(error["responsibility"] == "user", "the error says whose turn it is", error)


def decide(story: Story) -> None:
    """Look at the skipped record, and decide."""
    id = story.ask("GET", f"/skipped?mappingId={story.mapping}&status=open").body["items"][0]["id"]
    shown = story.ask("GET", f"/skipped/{id}")
    columns = ("local", "base", "integration", "state")
    screen.table(
        ["field", *columns],
        [
            (field["localField"] or field["integrationField"], *(field[column] for column in columns))
            for field in shown.body["fields"]
        ],
    )
    states = {field["localField"]: field["state"] for field in shown.body["fields"]}
    expect((states["name"], states["phone"]) == ("changedInBoth", "changedInIntegration"), "who changed what", states)
    choice = {"resolution": "merge", "fields": {"name": "local", "phone": "integration"}}
    resolved = story.ask("POST", f"/skipped/{id}/resolve", choice, 202, If_Match=shown.headers["ETag"])
    story.end(resolved.body["runId"])
    expected = ("Fjordglimt Café AS", "+47 70 10 20 30")
    for name, row in (("ERP", story.customer_of("C10020")), ("CRM", story.account_of("C10020"))):
        expect((row[0], row[2]) == expected, f"the {name} has the chosen name and the chosen phone number", row)
    late = story.ask("POST", f"/skipped/{id}/resolve", {"resolution": "keepLocal"}, 409).body
    expect(late["code"] == "already_resolved", f"a second opinion comes too late: {late['detail']}", late)


def overwrite(story: Story) -> None:
    """Map payment terms one way: nothing is checked, so it overwrites."""
    body = {
        "name": "payment terms",
        "direction": "toIntegration",
        "local": {"connectionId": story.connections["erp"], "table": "payment_terms", "caption": "Payment Terms"},
        "integration": {"connectionId": story.connections["crm"], "table": "paymentterm", "caption": "Payment Term"},
        "fieldMappings": [
            {"localField": "code", "integrationField": "code", "matchKey": 1},
            {"localField": "description", "integrationField": "name"},
            {"localField": "due_days", "integrationField": "days"},
        ],
        "synchOnlyCoupledRecords": False,
    }
    id = story.ask("POST", "/mappings", body, 201).body["id"]
    counts = story.run(mappingId=id)["counts"]["toIntegration"]
    expect(counts["inserted"] == len(PAYMENT_TERMS), "the CRM has the payment terms", counts)
    screen.happens("CRM", "NET30 is renamed to 'One month'")
    story.crm.do("UPDATE paymentterm SET name = 'One month' WHERE code = 'NET30'")
    screen.happens("ERP", "NET30 becomes '30 days from the date of invoice'")
    story.erp.do("UPDATE payment_terms SET description = '30 days from the date of invoice' WHERE code = 'NET30'")
    counts = story.run(mappingId=id)["counts"]["toIntegration"]
    name = story.crm.value("SELECT name FROM paymentterm WHERE code = 'NET30'")
    expect(name == "30 days from the date of invoice", f"no conflict; the CRM has '{name}'", counts)
    expect(not story.service.get(f"/skipped?mappingId={id}")["items"], "a one-way mapping sets no record aside")


def clean_up(story: Story) -> None:
    """Read the errors list, and clean it up."""
    name = "Sammenslutningen af Ærøskøbing Bådebyggere, Sejlmagere og Rebslagere A.m.b.A."
    screen.happens("ERP", f"customer C10030 gets a name of {len(name)} characters; the CRM takes 60")
    story.erp.do("UPDATE customer SET name = ? WHERE number = 'C10030'", name)
    story.run("completedWithErrors")
    _show_errors(story.ask("GET", "/errors").body["items"])
    cleaned = story.ask("DELETE", "/errors?olderThan=7d").body
    expect(cleaned == {"deleted": 0, "kept": 0}, "nothing is a week old yet", cleaned)
    time.sleep(1.1)  # So that everything is older than a second.
    preview = story.ask("DELETE", "/errors?olderThan=1s&dryRun=true").body
    expect(preview["deleted"] > 0 and preview["kept"] == 1, "a dry run says what would go", preview)
    cleaned = story.ask("DELETE", "/errors?olderThan=1s").body
    expect(cleaned == preview, f"{cleaned['deleted']} deleted, {cleaned['kept']} kept, as the dry run said", cleaned)
    left = story.ask("GET", "/errors").body["items"]
    _show_errors(left)
    expect([error["code"] for error in left] == ["value_too_long"], "what explains why a record waits was kept", left)
    screen.happens("ERP", "the name is shortened")
    story.erp.do("UPDATE customer SET name = 'Ærøskøbing Bådebyggere A.m.b.A.' WHERE number = 'C10030'")
    story.run()
    gone = story.ask("DELETE", "/errors?all=true").body
    expect(gone == {"deleted": 1, "kept": 0}, "the error was put right, and explains nothing any more", gone)


def _show_errors(errors: list[Any]) -> None:
    screen.table(
        ["id", "code", "status", "source", "message"],
        [(one["id"], one["code"], one["status"], one["source"]["description"], one["message"]) for one in errors],
    )


def health(story: Story) -> None:
    """Ask how it stands."""
    ready = story.ask("GET", "/health/ready").body
    expect(ready == {"status": "pass"}, "the service can do its work", ready)
    columns = ("coupled", "openErrors", "openSkipped")
    rows = [
        (one["name"], one["direction"], *(one["status"][column] for column in columns))
        for one in story.ask("GET", "/mappings").body["items"]
    ]
    screen.table(["mapping", "direction", *columns], rows)
    expect([row[2:] for row in rows] == [(len(PAYMENT_TERMS), 0, 0), (CUSTOMERS + OWN, 0, 0)], "all is in step", rows)


def look(story: Story) -> None:
    """See it all in the console."""
    visitor = Visitor(story.service)
    pair = story.service.get(f"/couplings?mappingId={story.mapping}&localKey={story.key_of('C10020')}")["items"][0][
        "id"
    ]
    pages = (
        ("/console", "Nobody needs to do anything.", "every mapping, and that nobody needs to do anything"),
        (f"/console/couplings/{pair}", "a person: merge", "the pair that was decided, and that a person did it"),
        (
            f"/console/mappings/{story.mapping}",
            "customertypecode always 3",
            "the mapping with its rules and field mappings",
        ),
        ("/console/skipped", "No record waits for a decision.", "that no record waits for a decision"),
        ("/console/errors", "There are no errors.", "that there are no errors"),
    )
    for path, sentence, claim in pages:
        text = visitor.look(path)
        expect(sentence in text, f"{story.service.url}{path} shows {claim}", text)
    story.pages = [path for path, _, _ in pages]


STEPS: tuple[Callable[[Story], None], ...] = (
    connect, map_tables, match, synchronize, rest, edit, disagree, decide, overwrite, clean_up, health, look
)  # fmt: skip


def tell(story: Story) -> None:
    """The whole story, step by step."""
    for number, step in enumerate(STEPS, start=1):
        screen.heading(number, (step.__doc__ or "").strip().rstrip("."))
        step(story)


@contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    """The folder for the databases: the given one, which stays, or one that goes away with the demo."""
    if given is None:
        with tempfile.TemporaryDirectory(prefix="accord-demo-") as made:
            yield Path(made)
        return
    given.mkdir(parents=True, exist_ok=True)
    if any(given.iterdir()):
        raise Unexpected(f"{given} is not empty.")
    yield given.resolve()


def _demonstrate(given: Path | None, once: bool) -> None:
    started = time.monotonic()
    with _folder(given) as folder:
        erp = make_erp(folder)
        crm = make_crm(folder, erp)
        with running_service(folder) as service:
            print(f"Accord listens on {service.url}; the ERP is {erp.file}, the CRM is {crm.file}.")
            story = Story(service, erp, crm)
            tell(story)
            print(f"\nThat took {time.monotonic() - started:.1f} seconds.")
            print(f"The console shows the story. Sign in with the token {service.token}")
            for path in story.pages:
                print(f"  {service.url}{path}")
            print(f"The API is described on {service.url}/docs")
            if not once:
                print("Accord keeps serving; Ctrl-C ends it.")
                with suppress(KeyboardInterrupt):
                    signal.pause()


def main() -> int:
    """Tell the story; the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/demo", description="Shows Accord at work.")
    parser.add_argument("--once", action="store_true", help="end after the story instead of serving on")
    parser.add_argument("--folder", type=Path, help="where to make and keep the databases (a new or empty folder)")
    chosen = parser.parse_args()
    screen.begin()
    # Whoever ends us ends the service too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _demonstrate(chosen.folder, chosen.once)
    except Unexpected as error:
        print(f"\n{screen.colored('The demo stopped.', 'red')} {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

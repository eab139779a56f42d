"""The customers of the Northwind sample, kept the same in a PostgreSQL database and an SQLite CRM by a real service.

`scripts/northwind_check.py customers.csv` loads the file into a PostgreSQL that it starts itself, synchronizes it into
a CRM whose columns have other names and lengths, lets people edit and add on both sides, and after each run compares
every value of both tables with plain SQL; then a run with nothing to do must write nothing. It says what it compared;
with exit code 1, what differs.
"""

from __future__ import annotations

import csv
import sqlite3
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import psycopg

from scripts.live_service import Service, Unexpected, running_service
from tests.servers import postgres_server

COLUMNS = {
    # the file: (PostgreSQL, its length, SQLite, its length)
    "CustomerID": ("customer_id", 5, "accountnumber", 12),
    "CompanyName": ("company_name", 40, "name", 160),
    "ContactName": ("contact_name", 30, "primarycontact", 100),
    "ContactTitle": ("contact_title", 30, "jobtitle", 80),
    "Address": ("address", 60, "address1_line1", 250),
    "City": ("city", 15, "address1_city", 50),
    "Region": ("region", 15, "address1_stateorprovince", 50),
    "PostalCode": ("postal_code", 10, "address1_postalcode", 20),
    "Country": ("country", 15, "address1_country", 40),
    "Phone": ("phone", 24, "telephone1", 50),
    "Fax": ("fax", 24, "fax", 30),
}
"""What is the same in the three."""

Rows: TypeAlias = list[tuple[Any, ...]]

CUSTOMERS = f"""
CREATE TABLE customers (
    {", ".join(f"{name} varchar({length})" for name, length, _, _ in COLUMNS.values())},
    modified_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (customer_id)
);
ALTER TABLE customers ALTER company_name SET NOT NULL;
CREATE INDEX customers_modified_at ON customers (modified_at, customer_id);
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN NEW.modified_at := clock_timestamp(); RETURN NEW; END $$;
CREATE TRIGGER customers_stamp BEFORE UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION stamp();
"""
ACCOUNTS = f"""
PRAGMA journal_mode = wal;
CREATE TABLE account (
    accountid VARCHAR(36) NOT NULL PRIMARY KEY,
    {", ".join(f"{name} NVARCHAR({length})" for _, _, name, length in COLUMNS.values())},
    modifiedon TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);
CREATE INDEX account_modifiedon ON account (modifiedon, accountid);
CREATE INDEX account_number ON account (accountnumber);
CREATE TRIGGER account_stamp AFTER UPDATE ON account WHEN NEW.modifiedon IS OLD.modifiedon BEGIN
    UPDATE account SET modifiedon = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE accountid = NEW.accountid; END;
"""

ERP_EDITS = """
UPDATE customers SET contact_name = 'Jytte Ærø Petersen', city = 'Århus C' WHERE customer_id = 'VAFFE';
UPDATE customers SET address = 'Łąkowa 7', postal_code = '00-123' WHERE customer_id = 'WOLZA';
UPDATE customers SET region = 'Šumava', fax = NULL WHERE customer_id = 'ALFKI';
UPDATE customers SET region = NULL WHERE customer_id = 'GREAL';
UPDATE customers SET region = '' WHERE customer_id = 'ANATR';
INSERT INTO customers (customer_id, company_name, city, country)
    VALUES ('ÅNGST', 'Ångström & Söner', 'Malmö', 'Sweden'), ('ČEŠKA', 'Češka náušnice', 'Třebíč', 'Česko');
"""
CRM_EDITS = """
UPDATE account SET name = 'Blondel père et fils', address1_city = 'Straßburg' WHERE accountnumber = 'BLONP';
UPDATE account SET address1_stateorprovince = 'Île-de-France' WHERE accountnumber = 'PARIS';
UPDATE account SET address1_stateorprovince = '' WHERE accountnumber = 'HUNGO';
UPDATE account SET fax = NULL, telephone1 = '+1 (503) 555-0100' WHERE accountnumber = 'THEBI';
INSERT INTO account (accountid, accountnumber, name, address1_city, address1_country, address1_stateorprovince)
    VALUES ('3f0a6a44-1111-4222-8333-9b1d3a2c0e01', 'ÑANDU', 'Ñandú Peñarol', 'Logroño', 'España', NULL),
           ('3f0a6a44-1111-4222-8333-9b1d3a2c0e02', 'ØRSTE', 'Ørsted Møbler', 'Køge', 'Danmark', '');
"""


@dataclass(frozen=True, slots=True)
class Sides:
    """Both applications, as the people who use them and their administrators see them."""

    erp: psycopg.Connection
    crm: sqlite3.Connection

    def customers(self, columns: str) -> Rows:
        """Columns of all customers, in an order that both sides can be sorted in."""
        return _sorted(self.erp.execute(f"SELECT {columns} FROM customers").fetchall())

    def accounts(self, columns: str) -> Rows:
        """Columns of all accounts, in the same order."""
        return _sorted(self.crm.execute(f"SELECT {columns} FROM account").fetchall())

    def stamps(self) -> tuple[Rows, Rows]:
        """Every record's stamp: as it was, as long as nobody writes."""
        return self.customers("customer_id, modified_at"), self.accounts("accountid, modifiedon")


def _sorted(rows: Rows) -> Rows:
    return sorted(rows, key=lambda row: str(row[0]))


def load(sides: Sides, file: Path) -> int:
    """Load the file into PostgreSQL. It does not tell an empty value from none: every second one becomes the latter."""
    try:
        with file.open(encoding="utf-8", newline="") as opened:
            lines = list(csv.DictReader(opened))
    except OSError as error:
        raise Unexpected(str(error)) from error
    wrong = set(COLUMNS) ^ set(lines[0] if lines else ())
    if wrong:
        raise Unexpected(f"{file} has not the expected columns: {', '.join(sorted(wrong))}")
    rows = [tuple(line[name] or (None if number % 2 else "") for name in COLUMNS) for number, line in enumerate(lines)]
    names = ", ".join(name for name, *_ in COLUMNS.values())
    marks = ", ".join("%s" for _ in COLUMNS)
    with sides.erp.cursor() as cursor:
        cursor.executemany(f"INSERT INTO customers ({names}) VALUES ({marks})", rows)
    return len(rows)


def connect(service: Service, erp_url: str, crm_file: Path) -> int:
    """Connect both and map them; the mapping's id."""
    settings = {"erp": erp_url, "crm": f"sqlite:///{crm_file}"}
    ids = [
        _asked(service, 201, "POST", "/connections", {"name": name, "kind": "sql", "settings": {"url": url}})["id"]
        for name, url in settings.items()
    ]
    for connection_id in ids:
        checked = _asked(service, 200, "POST", f"/connections/{connection_id}/check")
        # PostgreSQL's own superuser is an administrator, and the check says so; nothing may be worse than that.
        _expect(checked["status"] in ("pass", "warn"), f"connection {connection_id} does not work", checked)
    mapping = {
        "name": "northwind",
        "local": {"connectionId": ids[0], "table": "customers", "caption": "Customer"},
        "integration": {"connectionId": ids[1], "table": "account", "caption": "Account"},
        "fieldMappings": [
            {"localField": local, "integrationField": integration, "matchKey": 1 if name == "CustomerID" else None}
            for name, (local, _, integration, _) in COLUMNS.items()
        ],
        "synchOnlyCoupledRecords": False,
    }
    return int(_asked(service, 201, "POST", "/mappings", mapping)["id"])


def synchronize(service: Service, mapping: int, kind: str = "modified") -> dict[str, Any]:
    """Run, and give the counters of both directions."""
    started = _asked(service, 202, "POST", "/sync-runs", {"mappingId": mapping, "kind": kind})
    run = service.end_of_run(started["id"])
    _expect(run["status"] == "succeeded", "the run did not succeed", run, service.get(f"/errors?runId={run['id']}"))
    counts: dict[str, Any] = run["counts"]
    return counts


def _asked(service: Service, status: int, method: str, path: str, body: Any = None) -> Any:
    answer = service.ask(method, path, body)
    _expect(answer.status == status, f"{method} {path} was not answered {status}", answer)
    return answer.body


def _expect(holds: bool, otherwise: str, *shown: object) -> None:
    if not holds:
        raise Unexpected("\n".join([otherwise, *map(str, shown)]))


def compare(sides: Sides, expected: int) -> str:
    """Compare every value of every record; what was compared, in words."""
    customers = sides.customers(", ".join(local for local, *_ in COLUMNS.values()))
    accounts = sides.accounts(", ".join(integration for _, _, integration, _ in COLUMNS.values()))
    differing = list(_differences(customers, accounts))
    _expect(not differing, f"{len(differing)} values differ", *differing[:20])
    _expect(len(customers) == expected, f"there are {len(customers)} records instead of {expected}")
    values = [value for row in customers for value in row]
    accents = sum(1 for value in values if value and not value.isascii())
    kinds = f"{values.count('')} empty, {values.count(None)} NULL, {accents} with accents"
    return f"{len(customers)} records, {len(values)} values equal ({kinds})"


def _differences(customers: Rows, accounts: Rows) -> Iterator[str]:
    here = {row[0]: row for row in customers}
    there = {row[0]: row for row in accounts}
    if len(there) != len(accounts):
        yield "the CRM has a number twice"
    for key in sorted(here.keys() | there.keys()):
        if key not in here or key not in there:
            yield f"{key}: only in {'PostgreSQL' if key in here else 'the CRM'}"
            continue
        for name, one, other in zip(COLUMNS, here[key], there[key], strict=True):
            if one != other:
                yield f"{key} {name}: {one!r} in PostgreSQL, {other!r} in the CRM"


def told(counts: dict[str, Any]) -> str:
    """Counters in words, those that are zero left out."""
    parts = []
    for direction, numbers in counts.items():
        used = ", ".join(f"{number} {name}" for name, number in numbers.items() if number and name != "read")
        parts.append(f"{direction}: {used or 'nothing'}")
    return "; ".join(parts)


def check_first_load(service: Service, sides: Sides, mapping: int, loaded: int) -> None:
    """All customers go to the empty CRM."""
    counts = synchronize(service, mapping)
    _expect(counts["toIntegration"]["inserted"] == loaded, "not every customer was inserted", counts)
    print(f"first run      {told(counts)}\n               {compare(sides, loaded)}")


def check_quiet(service: Service, sides: Sides, mapping: int, records: int) -> None:
    """With nothing changed, a run counts nothing, a full run finds everything equal, and neither writes."""
    before = sides.stamps()
    counts = synchronize(service, mapping)
    _expect(not any(number for side in counts.values() for number in side.values()), "a counter is not zero", counts)
    full = synchronize(service, mapping, "full")
    for direction, numbers in full.items():
        equal = numbers["read"] == numbers["unchanged"] == records
        _expect(equal, f"a full run did not find everything unchanged {direction}", full)
    _expect(sides.stamps() == before, "a stamp has changed, so something was written")
    print(f"second run     {told(counts)}; every stamp on both sides is as it was, after a full run too")


def check_edits(service: Service, sides: Sides, mapping: int, records: int) -> int:
    """People edit and add on both sides; how many records there are then."""
    sides.erp.execute(ERP_EDITS)
    sides.crm.executescript(CRM_EDITS)
    counts = synchronize(service, mapping)
    for direction, expected in (("toIntegration", (5, 2)), ("fromIntegration", (4, 2))):
        found = (counts[direction]["modified"], counts[direction]["inserted"])
        _expect(found == expected, f"{direction}: {found} were modified and inserted instead of {expected}", counts)
    _expect_edits(sides)
    print(f"after edits    {told(counts)}\n               {compare(sides, records + 4)}")
    return records + 4


def _expect_edits(sides: Sides) -> None:
    """What people typed is what both sides have: equal alone could mean that an edit was undone."""
    typed: Sequence[tuple[str, str, str | None]] = (
        ("VAFFE", "city", "Århus C"),
        ("ALFKI", "region", "Šumava"),
        ("ALFKI", "fax", None),
        ("GREAL", "region", None),
        ("ANATR", "region", ""),
        ("BLONP", "city", "Straßburg"),
        ("PARIS", "region", "Île-de-France"),
        ("HUNGO", "region", ""),
        ("THEBI", "fax", None),
        ("ÑANDU", "company_name", "Ñandú Peñarol"),
        ("ČEŠKA", "city", "Třebíč"),
    )
    for key, column, value in typed:
        found = {row[0]: row[1] for row in sides.customers(f"customer_id, {column}")}
        _expect(key in found and found[key] == value, f"{key} {column} is {found.get(key)!r} instead of {value!r}")


@contextmanager
def opened(folder: Path, erp_url: str) -> Iterator[Sides]:
    """Both databases with their empty tables."""
    with psycopg.connect(erp_url, autocommit=True) as erp, closing(
        sqlite3.connect(folder / "crm.db", isolation_level=None, timeout=10)
    ) as crm:  # fmt: skip
        erp.execute(CUSTOMERS)
        crm.executescript(ACCOUNTS)
        yield Sides(erp, crm)


def check(file: Path) -> None:
    """The whole check."""
    with tempfile.TemporaryDirectory(prefix="accord-northwind-") as made, postgres_server() as server:
        folder, erp_url = Path(made), server.create_database("northwind")
        with opened(folder, erp_url) as sides, running_service(folder) as service:
            records = load(sides, file)
            mapping = connect(service, erp_url, folder / "crm.db")
            check_first_load(service, sides, mapping, records)
            check_quiet(service, sides, mapping, records)
            records = check_edits(service, sides, mapping, records)
            check_quiet(service, sides, mapping, records)


def main(arguments: Sequence[str]) -> int:
    """Check; the exit code."""
    if len(arguments) != 1:
        print("usage: northwind_check.py customers.csv", file=sys.stderr)
        return 2
    try:
        check(Path(arguments[0]))
    except Unexpected as error:
        print(f"northwind: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

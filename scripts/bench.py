"""Measure what a run costs: ratios within one run of this script count, absolute times do not.

For each size a fresh process makes two SQLite databases, synchronizes them for the first time, then a thousand changed
records, then nothing, and says what each cost in CPU seconds, and how much memory it took at most. Beside it stands a
plain loop over the same data with couplings and last values in a file: the floor for Python.
"""

from __future__ import annotations

import argparse
import json
import logging
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Any

import structlog
from cryptography.fernet import Fernet

from service.operations import connections, mappings, runs
from service.operations.context import Context, SecretBox
from service.store.database import database, migrate, open_database
from service.worker import run_until_idle

SIZES = (10_000, 100_000)
CHANGED = 1_000

LOCAL = """
    CREATE TABLE customer (id INTEGER PRIMARY KEY, number TEXT, name VARCHAR(60), city VARCHAR(40),
        credit_limit DECIMAL(12,2), modified_at TEXT DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')));
    CREATE INDEX customer_modified ON customer (modified_at, id);
    CREATE TRIGGER customer_stamp AFTER UPDATE ON customer WHEN NEW.modified_at IS OLD.modified_at BEGIN
        UPDATE customer SET modified_at = strftime('%Y-%m-%d %H:%M:%f', 'now') WHERE id = NEW.id; END;
"""
INTEGRATION = """
    CREATE TABLE account (accountid VARCHAR(36) PRIMARY KEY, accountnumber TEXT, title VARCHAR(60), town VARCHAR(40),
        creditlimit DECIMAL(12,2), modifiedon TEXT DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')));
    CREATE INDEX account_modified ON account (modifiedon, accountid);
    CREATE INDEX account_number ON account (accountnumber);
    CREATE TRIGGER account_stamp AFTER UPDATE ON account WHEN NEW.modifiedon IS OLD.modifiedon BEGIN
        UPDATE account SET modifiedon = strftime('%Y-%m-%d %H:%M:%f', 'now') WHERE accountid = NEW.accountid; END;
"""
FIELDS = (("number", "accountnumber"), ("name", "title"), ("city", "town"), ("credit_limit", "creditlimit"))


def make(folder: Path, size: int) -> tuple[Path, Path]:
    """Two applications: `size` customers whose stamps lie an hour back, a second apart for each hundred; no account."""
    files = folder / "erp.db", folder / "crm.db"
    for file, schema in zip(files, (LOCAL, INTEGRATION), strict=True):
        with closing(sqlite3.connect(file)) as made:
            made.executescript(schema)
    start = time.time() - 3_600 - size // 100
    with closing(sqlite3.connect(files[0])) as erp, erp:
        erp.executemany(
            "INSERT INTO customer (number, name, city, credit_limit, modified_at) VALUES (?, ?, ?, ?, ?)",
            (
                (f"C{n:07}", f"Kunde Nr. {n} & Søn", f"Byen {n % 97}", n % 5000 + 0.25, _stamp(start + n // 100))
                for n in range(size)
            ),
        )
    return files


def _stamp(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(moment))


def change(erp_file: Path) -> None:
    """A thousand customers are edited."""
    with closing(sqlite3.connect(erp_file)) as erp, erp:
        erp.execute("UPDATE customer SET name = name || ' A/S' WHERE id <= ?", (CHANGED,))


def measure(step: Callable[[], Any]) -> dict[str, float]:
    """CPU and wall seconds of one step."""
    cpu, wall = time.process_time(), time.perf_counter()
    step()
    return {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}


def run_accord(folder: Path, size: int) -> dict[str, Any]:
    """The work items done by the engine, with its state in a file, in this process."""

    erp, crm = make(folder, size)
    open_database(f"sqlite:///{folder / 'state.db'}")
    migrate()
    context = Context(SecretBox(Fernet.generate_key().decode()))
    with database.connection_context():
        ids = [
            connections.create(
                context,
                name=file.stem,
                kind="sql",
                settings={"url": f"sqlite:///{file}"},
                credentials=None,
                enabled=True,
                actor="bench",
            ).id
            for file in (erp, crm)
        ]
        mapping_id = mappings.create(context, mapping(ids), "bench")["id"]

        def run() -> None:
            made = runs.start(context, runs.RunRequest(mapping_id), "bench")
            run_until_idle(context)
            if (ended := runs.get(made.id)).status != "succeeded":
                raise SystemExit(f"the run ended as {ended.status} {ended.code} {ended.params}")

        found = {"first": measure(run)}
        time.sleep(2)
        change(erp)
        found["changed"] = measure(run)
        time.sleep(2)
        found["empty"] = measure(run)
        found["again"] = measure(run)
    return with_memory(found, erp, crm)


def mapping(ids: list[int]) -> dict[str, Any]:
    """The mapping of the two applications, both ways."""

    def side(id: int, table: str, key: str, stamp: str) -> dict[str, Any]:
        return {"connection_id": id, "table": table, "key": key, "modified_on": stamp, "caption": table, "filter": []}

    plain = {
        "direction": "bidirectional",
        "transforms": {},
        "clear_on_failed_lookup": False,
        "reference": None,
        "normalize": [],
        "not_null": False,
        "match_key": None,
        "enabled": True,
    }
    return {
        "name": "customers",
        "synch_only_coupled_records": False,
        "local": side(ids[0], "customer", "id", "modified_at"),
        "integration": side(ids[1], "account", "accountid", "modifiedon"),
        "field_mappings": [{"local_field": one, "integration_field": other, **plain} for one, other in FIELDS],
    }


def run_plain(folder: Path, size: int) -> dict[str, Any]:
    """The same by a loop: no service, no outcomes, no errors, no conflict ever noticed on the other side."""
    erp_file, crm_file = make(folder, size)
    with (
        closing(sqlite3.connect(erp_file)) as erp,
        closing(sqlite3.connect(crm_file)) as crm,
        closing(sqlite3.connect(folder / "plain.db")) as state,
    ):
        state.executescript(
            "PRAGMA journal_mode=wal; CREATE TABLE coupling (local INTEGER PRIMARY KEY, integration TEXT UNIQUE,"
            " stamp TEXT, base TEXT); CREATE TABLE mark (stamp TEXT);"
        )
        found = {"first": measure(lambda: plain_pass(erp, crm, state))}
        change(erp_file)
        found["changed"] = measure(lambda: plain_pass(erp, crm, state))
        found["empty"] = measure(lambda: plain_pass(erp, crm, state))
    return with_memory(found, erp_file, crm_file)


def plain_pass(erp: sqlite3.Connection, crm: sqlite3.Connection, state: sqlite3.Connection) -> None:
    """Copy what is later than the watermark, a thousand records at a time."""

    (mark,) = state.execute("SELECT coalesce(max(stamp), '') FROM mark").fetchone()
    cursor = erp.execute(
        "SELECT id, number, name, city, credit_limit, modified_at FROM customer WHERE modified_at > ?"
        " ORDER BY modified_at, id",
        (mark,),
    )
    while rows := cursor.fetchmany(1_000):
        keys = json.dumps([row[0] for row in rows])
        known = dict(
            state.execute(
                "SELECT local, integration FROM coupling WHERE local IN (SELECT value FROM json_each(?))", (keys,)
            ).fetchall()
        )
        new = [(known.get(row[0]) or str(uuid.uuid4()), row) for row in rows]
        crm.executemany(
            "INSERT INTO account (accountid, accountnumber, title, town, creditlimit) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (accountid) DO UPDATE SET accountnumber = excluded.accountnumber, title = excluded.title,"
            " town = excluded.town, creditlimit = excluded.creditlimit",
            [(key, *row[1:5]) for key, row in new],
        )
        crm.commit()
        state.executemany(
            "INSERT INTO coupling VALUES (?, ?, ?, ?) ON CONFLICT (local) DO UPDATE SET stamp = excluded.stamp,"
            " base = excluded.base",
            [(row[0], key, row[5], json.dumps(row[1:5])) for key, row in new],
        )
        state.execute("INSERT INTO mark VALUES (?)", (rows[-1][5],))
        state.commit()


def with_memory(found: dict[str, Any], erp: Path, crm: Path) -> dict[str, Any]:
    """The figures with the peak memory in MB, taken before the result is checked."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    check(erp, crm)
    return {**found, "memory": peak}


def check(erp_file: Path, crm_file: Path) -> None:
    """Both sides hold the same, or no time counts."""
    with closing(sqlite3.connect(erp_file)) as erp, closing(sqlite3.connect(crm_file)) as crm:
        one = erp.execute("SELECT number, name, city, credit_limit FROM customer ORDER BY number").fetchall()
        other = crm.execute(
            "SELECT accountnumber, title, town, creditlimit FROM account ORDER BY accountnumber"
        ).fetchall()
    if one != other:
        raise SystemExit("the two sides differ")


def in_own_process(what: str, size: int) -> dict[str, Any]:
    """One measurement in a process of its own, so that memory is its own as well."""
    command = [sys.executable, __file__, "--only", what, "--sizes", str(size)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def only(what: str, size: int) -> None:
    """Do one measurement here and print it as JSON."""

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with tempfile.TemporaryDirectory() as folder:
        run = run_accord if what == "accord" else run_plain
        print(json.dumps(run(Path(folder), size)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), help="records in the ERP")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured; medians are shown")
    parser.add_argument("--only", choices=("accord", "plain"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only:
        only(given.only, given.sizes[0])
        return
    shown: dict[tuple[str, int], dict[str, float]] = {}
    for size in given.sizes:
        for what in ("accord", "plain"):
            rounds = [in_own_process(what, size) for _ in range(given.rounds)]
            steps = [step for step in rounds[0] if step != "memory"]
            shown[what, size] = {step: median(one[step]["cpu"] for one in rounds) for step in steps}
            shown[what, size]["memory"] = max(one["memory"] for one in rounds)
    report(shown, given.sizes)


def report(shown: dict[tuple[str, int], dict[str, float]], sizes: list[int]) -> None:
    """The table, and the ratios that count."""
    print(f"{'':8} {'records':>9} {'first s':>9} {'1,000 s':>9} {'nothing ms':>11} {'peak MB':>8}   (CPU, medians)")
    for (what, size), found in shown.items():
        nothing = min(found["empty"], found.get("again", found["empty"])) * 1000
        print(
            f"{what:8} {size:>9,} {found['first']:>9.3f} {found['changed']:>9.3f} {nothing:>11.1f}"
            f" {found['memory']:>8.0f}"
        )
    last, first = shown["accord", sizes[-1]], shown["accord", sizes[0]]
    plain = shown["plain", sizes[-1]]
    print(f"memory, {sizes[-1]:,} against {sizes[0]:,} records: {last['memory'] / first['memory']:.2f}")
    print(f"1,000 changed records against the first load of {sizes[-1]:,}: {last['changed'] / last['first']:.1%}")
    print(f"first load against the plain loop: {last['first'] / plain['first']:.1f}")
    print(f"1,000 changed records against the plain loop: {last['changed'] / plain['changed']:.1f}")


if __name__ == "__main__":
    main()

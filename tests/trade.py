"""An ERP and a CRM whose tables refer to each other: currencies, customers with a parent and a primary contact,
contacts of customers, orders with lines. Both keep foreign keys, so that a wrong order of writing shows."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg

from service.core.records import Side
from service.operations import connections, couplings, mappings, run_groups, runs
from service.operations.context import Context
from service.store.models import SyncRun
from service.worker import run_until_idle
from tests.world import line, new_context

Row = dict[str, Any]

LOCAL_TABLES: dict[str, str] = {
    "currency": "code VARCHAR(3) NOT NULL",
    "customer": "number VARCHAR(20), name VARCHAR(80), parent_id INTEGER REFERENCES customer (id), "
    "primary_contact_id INTEGER",
    "contact": "email VARCHAR(80), name VARCHAR(80), customer_id INTEGER NOT NULL REFERENCES customer (id)",
    "sales_order": "number VARCHAR(20), customer_id INTEGER NOT NULL REFERENCES customer (id), "
    "currency_id INTEGER NOT NULL REFERENCES currency (id), contact_id INTEGER REFERENCES contact (id)",
    "sales_line": "code VARCHAR(30), order_id INTEGER NOT NULL REFERENCES sales_order (id), amount DECIMAL(12, 2)",
}
INTEGRATION_TABLES: dict[str, tuple[str, str]] = {
    "transactioncurrency": ("currencyid", "isocode VARCHAR(3) NOT NULL"),
    "account": (
        "accountid",
        (
            "accountnumber VARCHAR(20), name VARCHAR(80), parentaccountid VARCHAR(36) REFERENCES account (accountid), "
            "primarycontactid VARCHAR(36) REFERENCES crm_contact (contactid)"
        ),
    ),
    "crm_contact": (
        "contactid",
        (
            "emailaddress VARCHAR(80), fullname VARCHAR(80), "
            "parentcustomerid VARCHAR(36) NOT NULL REFERENCES account (accountid)"
        ),
    ),
    "salesorder": (
        "salesorderid",
        (
            "ordernumber VARCHAR(20), customerid VARCHAR(36) NOT NULL REFERENCES account (accountid), "
            "transactioncurrencyid VARCHAR(36) NOT NULL REFERENCES transactioncurrency (currencyid), "
            "contactid VARCHAR(36) REFERENCES crm_contact (contactid)"
        ),
    ),
    "salesorderdetail": (
        "detailid",
        (
            "productcode VARCHAR(30), salesorderid VARCHAR(36) NOT NULL REFERENCES salesorder (salesorderid), "
            "baseamount DECIMAL(12, 2)"
        ),
    ),
}
KEYS = dict.fromkeys(LOCAL_TABLES, "id") | {table: key for table, (key, _) in INTEGRATION_TABLES.items()}

_SQLITE_LOCAL = """
    CREATE TABLE {table} (id INTEGER PRIMARY KEY AUTOINCREMENT, {columns},
        modified_at TIMESTAMP NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')));
"""
_SQLITE_INTEGRATION = """
    CREATE TABLE {table} ({key} VARCHAR(36) PRIMARY KEY, {columns},
        modified_at TIMESTAMP NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')));
"""
_SQLITE_STAMP = """
    CREATE INDEX {table}_modified ON {table} (modified_at, {key});
    CREATE TRIGGER {table}_stamp AFTER UPDATE ON {table} WHEN NEW.modified_at IS OLD.modified_at BEGIN
        UPDATE {table} SET modified_at = strftime('%Y-%m-%d %H:%M:%f', 'now') WHERE {key} = NEW.{key}; END;
"""
_POSTGRESQL = """
    CREATE TABLE {table} (id SERIAL PRIMARY KEY, {columns}, modified_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp());
    CREATE INDEX ON {table} (modified_at, id);
    CREATE TRIGGER {table}_stamp BEFORE UPDATE ON {table} FOR EACH ROW
        WHEN (NEW.modified_at = OLD.modified_at) EXECUTE FUNCTION stamp();
"""
_POSTGRESQL_FIRST = """
    CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN NEW.modified_at = clock_timestamp(); RETURN NEW; END $$;
"""
_POSTGRESQL_LAST = "ALTER TABLE customer ADD FOREIGN KEY (primary_contact_id) REFERENCES contact (id)"

MAPPINGS: dict[str, tuple[str, str, list[dict[str, Any]]]] = {
    "currencies": (
        "currency",
        "transactioncurrency",
        [{"local_field": "code", "integration_field": "isocode", "match_key": 1}],
    ),
    "customers": (
        "customer",
        "account",
        [
            {"local_field": "number", "integration_field": "accountnumber", "match_key": 1},
            {"local_field": "name", "integration_field": "name"},
            {
                "local_field": "parent_id",
                "integration_field": "parentaccountid",
                "reference": {"mapping": "customers"},
            },
        ],
    ),
    "contacts": (
        "contact",
        "crm_contact",
        [
            {"local_field": "email", "integration_field": "emailaddress", "match_key": 1},
            {"local_field": "name", "integration_field": "fullname"},
            {
                "local_field": "customer_id",
                "integration_field": "parentcustomerid",
                "reference": {"mapping": "customers"},
            },
        ],
    ),
    "orders": (
        "sales_order",
        "salesorder",
        [
            {"local_field": "number", "integration_field": "ordernumber", "match_key": 1},
            {"local_field": "customer_id", "integration_field": "customerid", "reference": {"mapping": "customers"}},
            {
                "local_field": "currency_id",
                "integration_field": "transactioncurrencyid",
                "reference": {"mapping": "currencies"},
            },
            {"local_field": "contact_id", "integration_field": "contactid", "reference": {"mapping": "contacts"}},
        ],
    ),
    "lines": (
        "sales_line",
        "salesorderdetail",
        [
            {"local_field": "code", "integration_field": "productcode", "match_key": 1},
            {"local_field": "order_id", "integration_field": "salesorderid", "reference": {"mapping": "orders"}},
            {"local_field": "amount", "integration_field": "baseamount"},
        ],
    ),
}
PRIMARY_CONTACT = {
    "local_field": "primary_contact_id",
    "integration_field": "primarycontactid",
    "reference": {"mapping": "contacts"},
}


FACTS = {
    Side.LOCAL: {
        "currencies": "SELECT code FROM currency",
        "customers": "SELECT c.number, c.name, coalesce(p.number, ''), coalesce(m.email, '') FROM customer c"
        " LEFT JOIN customer p ON p.id = c.parent_id LEFT JOIN contact m ON m.id = c.primary_contact_id",
        "contacts": "SELECT m.email, m.name, c.number FROM contact m JOIN customer c ON c.id = m.customer_id",
        "orders": "SELECT o.number, c.number, e.code, coalesce(m.email, '') FROM sales_order o"
        " JOIN customer c ON c.id = o.customer_id JOIN currency e ON e.id = o.currency_id"
        " LEFT JOIN contact m ON m.id = o.contact_id",
        "lines": "SELECT l.code, o.number, cast(l.amount AS FLOAT) FROM sales_line l"
        " JOIN sales_order o ON o.id = l.order_id",
    },
    Side.INTEGRATION: {
        "currencies": "SELECT isocode FROM transactioncurrency",
        "customers": "SELECT c.accountnumber, c.name, coalesce(p.accountnumber, ''), coalesce(m.emailaddress, '')"
        " FROM account c LEFT JOIN account p ON p.accountid = c.parentaccountid"
        " LEFT JOIN crm_contact m ON m.contactid = c.primarycontactid",
        "contacts": "SELECT m.emailaddress, m.fullname, c.accountnumber FROM crm_contact m"
        " JOIN account c ON c.accountid = m.parentcustomerid",
        "orders": "SELECT o.ordernumber, c.accountnumber, e.isocode, coalesce(m.emailaddress, '') FROM salesorder o"
        " JOIN account c ON c.accountid = o.customerid"
        " JOIN transactioncurrency e ON e.currencyid = o.transactioncurrencyid"
        " LEFT JOIN crm_contact m ON m.contactid = o.contactid",
        "lines": "SELECT l.productcode, o.ordernumber, cast(l.baseamount AS FLOAT) FROM salesorderdetail l"
        " JOIN salesorder o ON o.salesorderid = l.salesorderid",
    },
}


class Trade:
    """Both applications, a connection to each, and the mappings that a test asks for."""

    def __init__(self, folder: Path, postgresql: str | None = None, context: Context | None = None) -> None:
        """`postgresql`: the URL of an empty database for the ERP, which otherwise is on SQLite like the CRM."""
        self.context = context or new_context()
        self.postgresql = postgresql
        self.files = {side: folder / f"trade_{side}.db" for side in Side}
        self._make_local()
        script = "".join(
            _SQLITE_INTEGRATION.format(table=table, key=key, columns=columns)
            + _SQLITE_STAMP.format(table=table, key=key)
            for table, (key, columns) in INTEGRATION_TABLES.items()
        )
        with closing(sqlite3.connect(self.files[Side.INTEGRATION])) as made:
            made.executescript(script)
        urls = {side: f"sqlite:///{file}" for side, file in self.files.items()}
        if postgresql is not None:
            urls[Side.LOCAL] = postgresql
        self.connection_ids = {side: self._connect(side, url) for side, url in urls.items()}
        self.mapping_ids: dict[str, int] = {}

    def _make_local(self) -> None:
        if self.postgresql is None:
            script = "".join(
                _SQLITE_LOCAL.format(table=table, columns=columns) + _SQLITE_STAMP.format(table=table, key="id")
                for table, columns in LOCAL_TABLES.items()
            )
            with closing(sqlite3.connect(self.files[Side.LOCAL])) as made:
                made.executescript(script)
            return
        tables = [_POSTGRESQL.format(table=table, columns=columns) for table, columns in LOCAL_TABLES.items()]
        with psycopg.connect(self.postgresql, autocommit=True) as connection:
            for script in (_POSTGRESQL_FIRST, *tables, _POSTGRESQL_LAST):
                connection.execute(script)

    def _connect(self, side: Side, url: str) -> int:
        settings = {"url": url}
        made = connections.create(
            self.context, name=side.value, kind="sql", settings=settings, credentials=None, enabled=True, actor="test"
        )
        return made.id

    def map(self, *names: str, cycle: bool = False, **given: Any) -> None:
        """Make mappings, in this order; `cycle`: customers have a primary contact, too."""
        for name in names:
            self.mapping_ids[name] = mappings.create(self.context, self.document(name, **given), "test")["id"]
        if cycle:
            lines = [*MAPPINGS["customers"][2], PRIMARY_CONTACT]
            mappings.change(
                self.context,
                self.mapping_ids["customers"],
                {"field_mappings": [line(**one) for one in lines]},
                None,
                "t",
            )

    def document(self, name: str, **given: Any) -> dict[str, Any]:
        """One of the mappings as a request would have it."""
        local, integration, lines = MAPPINGS[name]
        tables = {Side.LOCAL: local, Side.INTEGRATION: integration}
        sides: dict[str, Any] = {
            side.value: {
                "connection_id": self.connection_ids[side],
                "table": table,
                "key": None,
                "modified_on": "modified_at",
                "caption": None,
                "filter": [],
            }
            for side, table in tables.items()
        }
        fields = [line(**one) for one in lines]
        return {"name": name, "synch_only_coupled_records": False, **sides, "field_mappings": fields, **given}

    def run(self, name: str, kind: str = "modified", **given: Any) -> SyncRun:
        """Start a run of one mapping and let it end."""
        started = runs.start(self.context, runs.RunRequest(self.mapping_ids[name], kind, **given), "test")
        run_until_idle(self.context)
        return runs.get(started.id)

    def run_all(self, ids: Sequence[int] | None = None, **given: Any) -> list[SyncRun]:
        """Start runs of all mappings, or of these, let them end, and give all that were carried out."""
        wanted = None if ids is None else tuple(ids)
        started = run_groups.start(self.context, run_groups.GroupRequest(wanted, **given), "test")
        run_until_idle(self.context)
        return run_groups.members(started[0].group_id or 0)

    def partner(self, name: str, key: Any) -> str | None:
        """The key of the partner of a local record."""
        found = couplings.list_couplings(mapping_id=self.mapping_ids[name], local_key=str(key), limit=1)
        return found[0].integration_key if found else None

    # What people do in the applications

    def sql(self, side: Side | str, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Carry out a statement in one application, as somebody else would; `?` marks a parameter."""
        if Side(side) is Side.LOCAL and self.postgresql is not None:
            with psycopg.connect(self.postgresql, autocommit=True) as server:
                done = server.execute(statement.replace("?", "%s"), parameters)
                return done.fetchall() if done.description else []
        with closing(sqlite3.connect(self.files[Side(side)], isolation_level=None)) as connection:
            return connection.execute(statement, parameters).fetchall()

    def add(self, table: str, **values: Any) -> Any:
        """A new record; its key."""
        names, marks = ", ".join(values), ", ".join("?" for _ in values)
        statement = f"INSERT INTO {table} ({names}) VALUES ({marks}) RETURNING {KEYS[table]}"
        return self.sql(_side(table), statement, *values.values())[0][0]

    def edit(self, table: str, key: Any, **values: Any) -> None:
        sets = ", ".join(f"{column} = ?" for column in values)
        self.sql(_side(table), f"UPDATE {table} SET {sets} WHERE {KEYS[table]} = ?", *values.values(), key)

    def one(self, table: str, column: str, **where: Any) -> Any:
        """One value of the one record with these values."""
        tests = " AND ".join(f"{name} = ?" for name in where)
        (row,) = self.sql(_side(table), f"SELECT {column} FROM {table} WHERE {tests}", *where.values())
        return row[0]

    def rows(self, table: str) -> list[tuple[Any, ...]]:
        return self.sql(_side(table), f"SELECT * FROM {table} ORDER BY {KEYS[table]}")

    def facts(self, side: Side | str) -> dict[str, list[tuple[Any, ...]]]:
        """What one application knows, in words that both have: numbers and names instead of keys."""
        return {name: sorted(self.sql(side, question)) for name, question in FACTS[Side(side)].items()}

    def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        """All records of both applications with their stamps: the same as long as nobody writes."""
        return {table: self.rows(table) for table in KEYS}


def _side(table: str) -> Side:
    return Side.LOCAL if table in LOCAL_TABLES else Side.INTEGRATION

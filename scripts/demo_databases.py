"""The two business applications of the demo: an ERP with customers and a CRM with accounts, both on SQLite.

The names are put together from parts, in the same way each time; nobody real is meant.
"""

from __future__ import annotations

import random
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

ERP_SCHEMA = """
CREATE TABLE customer (
    id INTEGER PRIMARY KEY,
    number VARCHAR(20) NOT NULL UNIQUE,
    name VARCHAR(80) NOT NULL,
    street VARCHAR(60),
    postal_code VARCHAR(10),
    city VARCHAR(40),
    country CHAR(2) NOT NULL,
    phone VARCHAR(30),
    credit_limit DECIMAL(12, 2) NOT NULL DEFAULT 0,
    modified_at TIMESTAMP NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')));
CREATE INDEX customer_modified ON customer (modified_at, id);
CREATE TRIGGER customer_stamp AFTER UPDATE ON customer WHEN NEW.modified_at IS OLD.modified_at BEGIN
    UPDATE customer SET modified_at = strftime('%Y-%m-%d %H:%M:%f', 'now') WHERE id = NEW.id; END;

CREATE TABLE payment_terms (
    code VARCHAR(10) NOT NULL PRIMARY KEY,
    description VARCHAR(100) NOT NULL,
    due_days INTEGER NOT NULL,
    modified_at TIMESTAMP NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')));
CREATE INDEX payment_terms_modified ON payment_terms (modified_at, code);
CREATE TRIGGER payment_terms_stamp AFTER UPDATE ON payment_terms WHEN NEW.modified_at IS OLD.modified_at BEGIN
    UPDATE payment_terms SET modified_at = strftime('%Y-%m-%d %H:%M:%f', 'now') WHERE code = NEW.code; END;
"""

# Other names, other keys, other lengths, stamps of another shape.
CRM_SCHEMA = """
CREATE TABLE account (
    accountid VARCHAR(36) NOT NULL PRIMARY KEY,
    accountnumber VARCHAR(24),
    name VARCHAR(60) NOT NULL,
    address1_line1 VARCHAR(100),
    address1_postalcode VARCHAR(20),
    address1_city VARCHAR(80),
    address1_country VARCHAR(2),
    telephone1 VARCHAR(50),
    creditlimit DECIMAL(12, 2),
    customertypecode INTEGER,
    modifiedon TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')));
CREATE INDEX account_modified ON account (modifiedon, accountid);
CREATE INDEX account_number ON account (accountnumber);
CREATE TRIGGER account_stamp AFTER UPDATE ON account WHEN NEW.modifiedon IS OLD.modifiedon BEGIN
    UPDATE account SET modifiedon = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE accountid = NEW.accountid; END;

CREATE TABLE paymentterm (
    paymenttermid VARCHAR(36) NOT NULL PRIMARY KEY,
    code VARCHAR(20) NOT NULL,
    name VARCHAR(50) NOT NULL,
    days INTEGER,
    modifiedon TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')));
CREATE INDEX paymentterm_modified ON paymentterm (modifiedon, paymenttermid);
CREATE TRIGGER paymentterm_stamp AFTER UPDATE ON paymentterm WHEN NEW.modifiedon IS OLD.modifiedon BEGIN
    UPDATE paymentterm SET modifiedon = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
    WHERE paymenttermid = NEW.paymenttermid; END;
"""

# A habit of its own: new accounts get their postal code without blanks, whatever anybody writes.
CRM_HABIT = """
CREATE TRIGGER account_postal_code AFTER INSERT ON account BEGIN
    UPDATE account SET address1_postalcode = replace(NEW.address1_postalcode, ' ', '')
    WHERE accountid = NEW.accountid; END;
"""

PAYMENT_TERMS = [("CASH", "Paid on delivery", 0), ("NET14", "14 days net", 14), ("NET30", "30 days net", 30)]

CUSTOMERS, KNOWN, DIFFERING, OWN = 240, 40, 3, 5
"""How many customers the ERP has, how many of them the CRM knows already, how many of those under another name or
with another phone number, and how many accounts only the CRM has."""


class Country(NamedTuple):
    """What names in a country are made of."""

    code: str
    pattern: str
    families: tuple[str, ...]
    trades: tuple[str, ...]
    places: tuple[tuple[str, str], ...]
    street: str
    phone: str


_COUNTRIES = (
    Country(
        "NO", "{family} {trade} AS", ("Ødegård", "Bråten", "Sæther", "Kjølstad", "Rønning", "Åsheim", "Fjære"),
        ("Møbler", "Trevare", "Sjømat", "Regnskap", "Båtbyggeri", "Kjøkken"),
        (("0150", "Oslo"), ("5003", "Bergen"), ("9008", "Tromsø"), ("6002", "Ålesund")), "Sjøgata {n}",
        "+47 22 {a} {b}",
    ),
    Country(
        "CZ", "{family} {trade}, s.r.o.", ("Dvořák", "Říha", "Žižka", "Šťastný", "Kučera", "Hřebíček", "Bláha"),
        ("Nábytek", "Pekárna", "Strojírny", "Účetnictví", "Květiny", "Pivovar"),
        (("110 00", "Praha"), ("602 00", "Brno"), ("370 01", "České Budějovice"), ("460 01", "Liberec")),
        "Příčná {n}", "+420 2{a} {b}3",
    ),
    Country(
        "FR", "{trade} {family} SARL", ("Lefèvre", "Bérenger", "Châtelain", "Garçon", "Noël", "Perrault", "Mérimée"),
        ("Chaussures", "Boulangerie", "Ébénisterie", "Fromagerie", "Librairie", "Électricité"),
        (("75011", "Paris"), ("69002", "Lyon"), ("42000", "Saint-Étienne"), ("62100", "Calais")),
        "{n}, rue de l’Église", "+33 1 {a} {b} 07",
    ),
    Country(
        "DE", "{trade} {family} GmbH", ("Grünwald", "Schäfer", "Weiß", "Löffler", "Müller-Brück", "Käßler", "Hübner"),
        ("Bäckerei", "Möbelhaus", "Gärtnerei", "Maschinenbau", "Großhandel", "Spedition"),
        (("10117", "Berlin"), ("80331", "München"), ("50667", "Köln"), ("99084", "Erfurt")), "Lindenstraße {n}",
        "+49 30 {a}{b}",
    ),
    Country(
        "PL", "{trade} {family} Sp. z o.o.", ("Łukasik", "Wójcik", "Żak", "Śliwa", "Gołąb", "Kęska", "Dąbek"),
        ("Meble", "Piekarnia", "Księgarnia", "Okna", "Ogrody", "Młyn"),
        (("00-001", "Warszawa"), ("90-001", "Łódź"), ("50-001", "Wrocław"), ("80-001", "Gdańsk")), "ul. Polna {n}",
        "+48 22 {a} {b}",
    ),
    Country(
        "ES", "{trade} {family} S.L.", ("Núñez", "Ibáñez", "Peña", "Muñoz", "Güell", "Márquez", "Cobián"),
        ("Panadería", "Muebles", "Óptica", "Jardinería", "Librería", "Cerámica"),
        (("28013", "Madrid"), ("29015", "Málaga"), ("15001", "A Coruña"), ("24003", "León")), "Calle Añil {n}",
        "+34 91 {a} {b}",
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Application:
    """A business application, worked with by the people who use it."""

    file: Path

    @property
    def url(self) -> str:
        return f"sqlite:///{self.file}"

    def make(self, schema: str) -> None:
        """Carry out a script."""
        with closing(sqlite3.connect(self.file)) as database:
            # Readers and writers do not wait for each other, as in any grown-up application.
            database.execute("PRAGMA journal_mode = wal")
            database.executescript(schema)

    def do(self, statement: str, *parameters: Any) -> None:
        """Carry out a statement."""
        with closing(sqlite3.connect(self.file, timeout=10)) as database, database:
            database.execute(statement, parameters)

    def do_many(self, statement: str, rows: list[tuple[Any, ...]]) -> None:
        """Carry out a statement for many rows."""
        with closing(sqlite3.connect(self.file, timeout=10)) as database, database:
            database.executemany(statement, rows)

    def ask(self, question: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        with closing(sqlite3.connect(self.file, timeout=10)) as database:
            return database.execute(question, parameters).fetchall()

    def value(self, question: str, *parameters: Any) -> Any:
        """The only value of a query."""
        return self.ask(question, *parameters)[0][0]


def make_erp(folder: Path) -> Application:
    """An ERP with a few hundred customers and some payment terms."""
    erp = Application(folder / "erp.db")
    erp.make(ERP_SCHEMA)
    erp.do_many(
        "INSERT INTO customer (number, name, street, postal_code, city, country, phone, credit_limit)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        list(_customers()),
    )
    erp.do_many("INSERT INTO payment_terms (code, description, due_days) VALUES (?, ?, ?)", list(PAYMENT_TERMS))
    return erp


def make_crm(folder: Path, erp: Application) -> Application:
    """A CRM that knows some of the ERP's customers, a few of them otherwise, and has a few accounts of its own."""
    crm = Application(folder / "crm.db")
    crm.make(CRM_SCHEMA)
    known = erp.ask(
        "SELECT number, name, street, postal_code, city, country, phone FROM customer WHERE id % 6 = 1 LIMIT ?", KNOWN
    )
    crm.do_many(
        "INSERT INTO account (accountid, accountnumber, name, address1_line1, address1_postalcode, address1_city,"
        " address1_country, telephone1) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [_account(index, row) for index, row in enumerate(known)] + list(_own_accounts()),
    )
    crm.make(CRM_HABIT)
    return crm


def _customers() -> Iterator[tuple[Any, ...]]:
    chance = random.Random(7)
    names = [
        (country, country.pattern.format(family=family, trade=trade))
        for country in _COUNTRIES
        for family in country.families
        for trade in country.trades
    ]
    chance.shuffle(names)
    for index, (country, name) in enumerate(names[:CUSTOMERS]):
        postal_code, city = chance.choice(country.places)
        phone = country.phone.format(a=chance.randrange(100, 999), b=chance.randrange(100, 999))
        street = country.street.format(n=chance.randrange(1, 120))
        limit = chance.randrange(0, 200) * 250
        yield (f"C{10000 + index * 10}", name, street, postal_code, city, country.code, phone, limit)


def _account(index: int, row: tuple[Any, ...]) -> tuple[Any, ...]:
    """An account for a customer. The first ones differ; of some the CRM never knew the phone number."""
    number, name, street, postal_code, city, country, phone = row
    if index < DIFFERING:
        name = name.upper()
    elif index % 4 == 0:
        phone = None
    return (_id(index), number, name, street, postal_code, city, country, phone)


def _own_accounts() -> Iterator[tuple[Any, ...]]:
    for index, country in enumerate(_COUNTRIES[:OWN]):
        name = country.pattern.format(family=f"{country.families[0]} & {country.families[1]}", trade=country.trades[2])
        postal_code, city = country.places[-1]
        street = country.street.format(n=index + 1)
        yield (_id(1000 + index), f"C{90000 + index}", name, street, postal_code, city, country.code, None)


def _id(number: int) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"https://crm.example/account/{number}"))

"""Companies as two applications have written them down, with the truth about who is who, and five levels of noise."""

from __future__ import annotations

import random
import sqlite3
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.core.records import Side
from service.operations import connections, mappings
from service.operations.context import Context
from tests.world import line

SYLLABLES = (
    *("bör", "gen", "sø", "dal", "vik", "lind", "berg", "mü", "ler", "nov", "ák", "řez", "káč", "tran", "sko", "gård"),
    *("hél", "ène", "cor", "té", "ra", "mon", "san", "to", "vel", "bra"),
)
FORMS = {
    "AS": ("A/S", "as", "A.S.", ""),
    "GmbH": ("G.m.b.H.", "GMBH", ""),
    "s.r.o.": ("spol. s r.o.", "S.R.O.", "sro"),
    "Ltd": ("Limited", "LTD.", ""),
    "AB": ("A.B.", "ab", ""),
    "Inc.": ("Inc", "Incorporated", ""),
}
CITIES = ["Göteborg", "Malmö", "Tromsø", "Brno", "Plzeň", "Zürich", "Köln", "Orléans", "Cork", "Århus", "Ústí", "Gävle"]
NOISE = ("case", "accents", "punctuation and legal forms", "ways to write a telephone number", "typing errors")
"""The levels, each with those before it."""

KEYS: list[dict[str, Any]] = [
    {
        "local_field": "name",
        "integration_field": "title",
        "match_key": 1,
        "normalize": ["legalForms", "accents", "case", "punctuation"],
    },
    {
        "local_field": "city",
        "integration_field": "town",
        "match_key": 1,
        "normalize": ["accents", "case", "punctuation"],
    },
    {"local_field": "phone", "integration_field": "telephone", "match_key": 2, "normalize": ["phone:NO"]},
]
PLAIN = [{**key, "normalize": []} for key in KEYS]


@dataclass(frozen=True, slots=True)
class Company:
    """A company as one application has it."""

    key: str
    name: str
    city: str
    phone: str


class Truth:
    """So many companies: nine of ten are known to both applications, the others to one of them alone."""

    def __init__(self, size: int, level: int, seed: int, overlap: float = 0.9) -> None:
        """`level`: how many kinds of noise there are on the integration side, 0 to 5."""
        self.chance = random.Random(seed)
        self.level, self.partners = level, dict[str, str]()
        self.local: list[Company] = []
        self.integration: list[Company] = []
        both, taken = int(size * overlap), set[tuple[str, str]]()
        for number in range(size + size - both):
            company = self._company(number, taken)
            if number < size:
                self.local.append(company)
            if number < both or number >= size:
                other = self._written_down_again(company)
                self.integration.append(other)
                if number < both:
                    self.partners[company.key] = other.key
        self.chance.shuffle(self.integration)

    def _company(self, number: int, taken: set[tuple[str, str]]) -> Company:
        """A new one; some bear the name of another in another city, or share its telephone."""
        chance = self.chance
        while True:
            name = "".join(chance.choice(SYLLABLES) for _ in range(4)).capitalize()
            if self.local and chance.random() < 0.03:
                name = chance.choice(self.local).name.split()[0]
            city = chance.choice(CITIES)
            if (name, city) not in taken:
                taken.add((name, city))
                break
        phone = f"+47 {chance.randrange(2_000_0000, 9_999_9999)}"
        if self.local and chance.random() < 0.01:
            phone = chance.choice(self.local).phone
        return Company(str(number + 1), f"{name} {chance.choice(list(FORMS))}", city, phone)

    def _written_down_again(self, company: Company) -> Company:
        key = f"{self.chance.getrandbits(64):016x}"
        name, city, phone = company.name, company.city, company.phone
        for noise in _NOISES[: self.level]:
            name, city, phone = noise(self.chance, name, city, phone)
        return Company(key, name, city, phone)

    def judge(self, coupled: dict[str, str]) -> tuple[float, float]:
        """Precision and recall of couplings, local key to integration key."""
        right = sum(1 for local, other in coupled.items() if self.partners.get(local) == other)
        return (right / len(coupled) if coupled else 1.0), right / len(self.partners)


Noise = Callable[[random.Random, str, str, str], tuple[str, str, str]]


def _case(chance: random.Random, name: str, city: str, phone: str) -> tuple[str, str, str]:
    name = chance.choice([name.upper(), name.lower(), name])
    return f"{name} ", chance.choice([city.upper(), city]), phone


def _accents(chance: random.Random, name: str, city: str, phone: str) -> tuple[str, str, str]:
    return (_plain(name) if chance.random() < 0.5 else name), _plain(city), phone


def _plain(text: str) -> str:
    replaced = text.translate(str.maketrans("øØåÅß", "oOaAs"))
    return "".join(sign for sign in unicodedata.normalize("NFKD", replaced) if not unicodedata.combining(sign))


def _forms(chance: random.Random, name: str, city: str, phone: str) -> tuple[str, str, str]:
    for form, others in FORMS.items():
        if name.casefold().rstrip().endswith(f" {form.casefold()}"):
            bare = name.rstrip()[: -len(form) - 1]
            return f"{bare}{chance.choice([' ', ', ', '  '])}{chance.choice(others)}".rstrip(" ,"), city, phone
    return name, city, phone


def _phones(chance: random.Random, name: str, city: str, phone: str) -> tuple[str, str, str]:
    digits = phone.removeprefix("+47 ")
    pairs = " ".join(digits[at : at + 2] for at in range(0, 8, 2))
    return (
        name,
        city,
        chance.choice([digits, pairs, f"(+47) {pairs}", f"0047{digits}", f"+47-{digits[:3]}-{digits[3:]}"]),
    )


def _typos(chance: random.Random, name: str, city: str, phone: str) -> tuple[str, str, str]:
    at = chance.randrange(1, max(2, len(name) - 6))
    if chance.random() < 0.4:
        name = name[:at] + name[at + 1 :]
    if chance.random() < 0.2:
        phone = phone[:-1] + chance.choice("0123456789")
    return name, city, phone


_NOISES: tuple[Noise, ...] = (_case, _accents, _forms, _phones, _typos)

_TABLES = {
    Side.LOCAL: ("firm", "id INTEGER PRIMARY KEY", "name", "city", "phone"),
    Side.INTEGRATION: ("company", "code VARCHAR(16) PRIMARY KEY", "title", "town", "telephone"),
}


def write(folder: Path, truth: Truth) -> dict[Side, Path]:
    """Two SQLite databases with what each application knows."""
    files = {side: folder / f"companies_{side}.db" for side in Side}
    rows = {Side.LOCAL: truth.local, Side.INTEGRATION: truth.integration}
    for side, file in files.items():
        table, key, *names = _TABLES[side]
        columns = ", ".join(f"{name} VARCHAR(200)" for name in names)
        with closing(sqlite3.connect(file)) as made:
            made.execute(f"CREATE TABLE {table} ({key}, {columns}, changed TIMESTAMP NOT NULL)")
            made.execute(f"CREATE INDEX {table}_changed ON {table} (changed, {key.split()[0]})")
            made.executemany(
                f"INSERT INTO {table} VALUES (?, ?, ?, ?, '2026-01-01 00:00:00')", list(_values(rows[side]))
            )
            made.commit()
    return files


def _values(companies: list[Company]) -> Iterator[tuple[str, str, str, str]]:
    return ((one.key, one.name, one.city, one.phone) for one in companies)


def map_companies(context: Context, files: dict[Side, Path], keys: list[dict[str, Any]]) -> int:
    """The mapping between both; its id."""
    sides: dict[str, Any] = {}
    for side, file in files.items():
        made = connections.create(
            context,
            name=f"companies {side}",
            kind="sql",
            settings={"url": f"sqlite:///{file}"},
            credentials=None,
            enabled=True,
            actor="test",
        )
        stamped: dict[str, Any] = {"key": None, "modified_on": "changed", "caption": None, "filter": []}
        sides[side.value] = {"connection_id": made.id, "table": _TABLES[side][0], **stamped}
    fields = [line(**key) for key in keys]
    policy = {"update_conflict_resolution": "sendUpdateToIntegration"}
    document = {"name": "companies", **sides, "field_mappings": fields, **policy}
    return int(mappings.create(context, document, "test")["id"])

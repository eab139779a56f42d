"""A real Tryton server for the tests, in an environment of its own: a third party's ERP, never imported by us.

The environment and a database with a few models are made once and kept in a cache; each server works on a copy.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.environments import CACHE
from tests.servers import CannotStart, free_port

PINNED = (
    "trytond==8.2.1", "trytond-party==8.2.0", "trytond-currency==8.2.0", "trytond-country==8.2.0",
    "argon2-cffi==25.1.0", "cffi==2.1.1", "defusedxml==0.7.1", "Genshi==0.7.12", "lxml==6.1.3", "MarkupSafe==3.0.4",
    "polib==1.2.0", "puremagic==1.30", "pwdlib==0.3.1", "python-dateutil==4.0.0", "python-sql==1.8.1",
    "python-stdnum==2.2", "relatorio==1.0.0", "simpleeval==1.0.8", "Werkzeug==3.1.9",
)  # fmt: skip

MODULE = {
    "tryton.cfg": "[tryton]\nversion=8.2.0\ndepends:\n    ir\n    res\nxml:\n    message.xml\n",
    "message.xml": (
        '<?xml version="1.0"?>\n<tryton><data grouped="1"><record model="ir.message" id="msg_unique">'
        '<field name="text">The number of a customer must be unique.</field></record></data></tryton>\n'
    ),
    "__init__.py": """
from trytond.model import ModelSQL, ModelView, Unique, fields
from trytond.pool import Pool


def register():
    Pool.register(Customer, Numbered, module="accord_test", type_="model")


class Customer(ModelSQL, ModelView):
    "Customer"
    __name__ = "accord.customer"
    number = fields.Char("Number", size=20)
    name = fields.Char("Name", size=50, required=True)
    city = fields.Text("City")
    credit = fields.Numeric("Credit", digits=(10, 2))
    blocked = fields.Boolean("Blocked")
    born = fields.Date("Born")
    seen = fields.Timestamp("Seen")
    visits = fields.Integer("Visits")
    grade = fields.Selection([(None, ""), ("gold", "Gold"), ("silver", "Silver")], "Grade")
    terms = fields.Selection("get_terms", "Terms")

    @classmethod
    def get_terms(cls):
        return [(None, ""), ("net30", "Net 30")]

    @classmethod
    def __setup__(cls):
        super().__setup__()
        table = cls.__table__()
        cls._sql_constraints = [("number", Unique(table, table.number), "accord_test.msg_unique")]


class Numbered(ModelSQL, ModelView):
    "Numbered"
    __name__ = "accord.numbered"
    name = fields.Char("Name", size=50, required=True)
""",
}
"""A module for the server with the two tables of the kit."""

FURNISH = """
from trytond.config import config
config.update_etc("conf")
from trytond.pool import Pool
from trytond.transaction import Transaction
Pool.start()
pool = Pool("erp")
with Transaction().start("erp", 0):
    pool.init()
with Transaction().start("erp", 1, context={"_check_access": False}):
    Group, User, Access = (pool.get(name) for name in ("res.group", "res.user", "ir.model.access"))
    writers, = Group.create([{"name": "Writers"}])
    for login, groups in (("accord", [writers.id]), ("reader", [])):
        User.create([{"name": login, "login": login, "password": login + "-has-a-password",
                      "groups": [("add", groups)]}])
    may = {"perm_read": True, "perm_write": True, "perm_create": True, "perm_delete": True}
    only = {"perm_read": True, "perm_write": False, "perm_create": False, "perm_delete": False}
    for model in ("accord.customer", "accord.numbered", "party.party", "currency.currency"):
        Access.create([{"model": model, "group": None, **only}, {"model": model, "group": writers.id, **may}])
    Transaction().commit()
"""

CONFIGURATION = "[database]\nuri = sqlite://\npath = {path}\n[session]\ntimeout = 600\nmax_attempt = 100000\n"
WATCH = 'read -r _\nkill -KILL $(cat "$1/pid") 2>/dev/null\ncd / && rm -rf "$1"\n'


@dataclass(frozen=True, slots=True)
class TrytonServer:
    """A running Tryton with the database `erp`, and the file that holds it."""

    port: int
    file: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def settings(self) -> dict[str, str]:
        return {"url": self.url, "database": "erp"}

    def credentials(self, user: str = "accord") -> dict[str, str]:
        return {"username": user, "password": f"{user}-has-a-password"}

    def database(self) -> sqlite3.Connection:
        """The server's database, as whoever works in it at the same time."""
        return sqlite3.connect(self.file, isolation_level=None, timeout=30)


@contextmanager
def tryton_server() -> Iterator[TrytonServer]:
    """Run a Tryton for as long as the block lasts."""
    environment, template = _prepared()
    home = Path(tempfile.mkdtemp(prefix="accord-tryton-"))
    with subprocess.Popen(["sh", "-c", WATCH, "watch", home], stdin=subprocess.PIPE, start_new_session=True) as watch:
        process = None
        try:
            shutil.copy(template, home / "erp.sqlite")
            server, process = _start(environment, home)
            yield server
        finally:
            if process is not None:  # Whoever started it has to wait for it, or it is never gone.
                process.kill()
                process.wait()
            watch.communicate(b"\n")


def _prepared() -> tuple[Path, Path]:
    """The environment and the template database, made where they are missing."""
    said = "\n".join((sys.version, *PINNED, *MODULE.values(), FURNISH))
    name = f"tryton-{hashlib.sha256(said.encode()).hexdigest()[:12]}"
    CACHE.mkdir(parents=True, exist_ok=True)
    made = CACHE / name
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # Several test runs may begin at once.
        if not (made / "ready").exists():
            shutil.rmtree(made, ignore_errors=True)
            _make(made)
            (made / "ready").touch()
    return made, made / "erp.sqlite"


def _make(folder: Path) -> None:
    _run([sys.executable, "-m", "venv", str(folder)], folder.parent)
    pip = [str(folder / "bin/python"), "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
    _run([*pip, *PINNED], folder)
    [packages] = folder.glob("lib/python*/site-packages/trytond/modules")
    module = packages / "accord_test"
    module.mkdir()
    for name, text in MODULE.items():
        (module / name).write_text(text)
    (folder / "conf").write_text(CONFIGURATION.format(path=folder))
    (folder / "password").write_text("administrator-has-a-password")
    (folder / "erp.sqlite").touch()
    modules = ["party", "currency", "country", "accord_test"]
    command = [str(folder / "bin/trytond-admin"), "-c", "conf", "-d", "erp", "--email", "a@example.com"]
    environment = {**os.environ, "TRYTONPASSFILE": str(folder / "password")}
    _run([*command, "--activate-dependencies", "-u", *modules], folder, environment)
    (folder / "furnish.py").write_text(FURNISH)
    _run([str(folder / "bin/python"), "furnish.py"], folder)


def _run(command: list[str], folder: Path, environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=400,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    if done.returncode:
        raise CannotStart(f"{command[:3]}: {done.stderr[-2000:] or done.stdout[-2000:]}")


def _start(environment: Path, home: Path) -> tuple[TrytonServer, subprocess.Popen[bytes]]:
    for _ in range(3):  # Another program may be faster to take the port, but not every time.
        port = free_port()
        configuration = f"{CONFIGURATION.format(path=home)}[web]\nlisten = 127.0.0.1:{port}\n"
        (home / "conf").write_text(configuration)
        with (home / "log").open("ab") as log:
            process = subprocess.Popen(
                [str(environment / "bin/trytond"), "-c", str(home / "conf"), "-d", "erp"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=home, start_new_session=True,
            )  # fmt: skip
        (home / "pid").write_text(str(process.pid))
        if _answers(port, process):
            return TrytonServer(port, home / "erp.sqlite"), process
    raise CannotStart((home / "log").read_text(errors="replace")[-2000:])


def _answers(port: int, process: subprocess.Popen[bytes]) -> bool:
    """Whether the server answers before a minute is over or it ends."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError):
            with suppress(urllib.error.HTTPError):  # Any answer is one.
                urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).close()
            return True
        time.sleep(0.05)
    process.kill()
    process.wait()
    return False

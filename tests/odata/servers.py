"""OData services for the tests, started here and gone afterwards."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.environments import CACHE, programs

COUNTERPART = Path(__file__).parent / "counterpart.py"
FAULTS = Path(__file__).parent / "faults.py"
COMPANY = "0f1e2d3c-0000-4000-8000-00000000c0de"

ROOTS = {"odata": "/service/", "dataverse": "/api/data/v9.2/", "businessCentral": "/v2.0/tenant/production/api/v2.0/"}


@dataclass(frozen=True, slots=True)
class Counterpart:
    """A running service, and its back door."""

    shape: str
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{ROOTS[self.shape]}"

    def control(self, do: str, **more: Any) -> Any:
        """Something that somebody does in the application, past the API."""
        body = json.dumps({"do": do, **more}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/_control", data=body)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)["result"]

    def requests(self) -> list[tuple[str, str, int]]:
        """Method, target and number of parts of the requests since the last time."""
        return [tuple(one) for one in self.control("requests")]


@contextmanager
def counterpart(shape: str, tables: dict[str, Any], **config: Any) -> Iterator[Counterpart]:
    """Run a service of this shape for as long as the block lasts."""
    described = json.dumps({"shape": shape, "tables": tables, **config})
    command: list[str | Path] = [programs("odatapy", "odatapy==5.3.0") / "python", COUNTERPART, described]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Counterpart(shape, int(process.stdout.readline()))
        finally:
            process.stdin.close()


@dataclass(frozen=True, slots=True)
class MockSap:
    """A running mock-sap: an ERP of S/4HANA's shape with data of its own."""

    port: int

    @property
    def partners(self) -> str:
        """Its service for business partners."""
        return self.service("api_businesspartner")

    def service(self, name: str) -> str:
        """One of its services that speak OData V4."""
        return f"{self.root}/sap/opu/odata4/sap/{name}/srvd_a2x/sap/{name}/0001/"

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, path: str) -> Any:
        """What its control plane says."""
        with urllib.request.urlopen(self.root + path, timeout=30) as answer:
            return json.load(answer)

    def tell(self, path: str, order: dict[str, Any] | None = None, method: str = "POST") -> None:
        """Have its control plane do something."""
        headers = {"Content-Type": "application/json"}
        body = json.dumps(order or {}).encode()
        request = urllib.request.Request(self.root + path, data=body, headers=headers, method=method)
        with urllib.request.urlopen(request, timeout=30):
            pass


_AT_ONCE = """
import sys
from mocksap import __main__, server
server.Handler.disable_nagle_algorithm = True
sys.exit(__main__.main())
"""


@contextmanager
def mock_sap(*options: str, at_once: bool = False) -> Iterator[MockSap]:
    """Run mock-sap for as long as the block lasts. `at_once`: its answers do not wait 40 ms between their headers and
    their bodies, as they do otherwise."""
    port = free_port()
    folder = programs("mock-sap", "mock-sap==0.22.0")
    program = [folder / "python", "-c", _AT_ONCE] if at_once else [folder / "mock-sap"]
    command: list[str | Path] = [*program, "--port", str(port), "--quiet", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            while "Admin" not in process.stdout.readline():
                assert process.poll() is None
            yield MockSap(port)
        finally:
            process.terminate()


@dataclass(frozen=True, slots=True)
class Faults:
    """A proxy that makes trouble between a connector and the services behind it."""

    port: int

    def plan(self, *faults: dict[str, Any]) -> list[int]:
        """What goes wrong from now on; see faults.py. How often each fault was met that was planned before."""
        body = json.dumps(faults).encode()
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/_faults", data=body, timeout=30) as answer:
            met: list[int] = json.load(answer)
            return met


def faults_before(*services: Counterpart) -> AbstractContextManager[Faults]:
    """Run mitmproxy in front of counterparts."""
    return faults_at({ROOTS[service.shape]: service.port for service in services})


@contextmanager
def faults_at(ports: Mapping[str, int]) -> Iterator[Faults]:
    """Run mitmproxy in front of services, each at its port, told apart by the beginning of their paths."""
    port = free_port()
    program = programs("mitmproxy", "mitmproxy==11.0.2") / "mitmdump"
    routes = ",".join(f"{root}={there}" for root, there in ports.items())
    command: list[str | Path] = [program, "--quiet", "--mode", f"reverse:http://127.0.0.1:{min(ports.values())}"]
    options = ("keep_host_header=true", f"routes={routes}", f"confdir={CACHE / 'mitmproxy-config'}")
    command += ["--listen-host", "127.0.0.1", "--listen-port", str(port), "--scripts", FAULTS]
    command += [part for option in options for part in ("--set", option)]
    with subprocess.Popen(command) as process:
        faults = Faults(port)
        try:
            deadline = time.monotonic() + 60
            while True:
                try:
                    faults.plan()
                    break
                except OSError:
                    assert process.poll() is None
                    assert time.monotonic() < deadline
                    time.sleep(0.1)
            yield faults
        finally:
            process.terminate()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def text(length: int | None = None, **more: Any) -> dict[str, Any]:
    return {"type": "String", "length": length, **more}


def stamp(digits: int = 3) -> dict[str, Any]:
    return {"type": "DateTimeOffset", "precision": digits, "computed": True}


def choice(options: dict[int, str], kind: str = "Picklist", **more: Any) -> dict[str, Any]:
    """A choice of Dataverse; its labels in English, and in Norwegian with a word of Norwegian."""
    labels = {str(value): {"1033": label, "1044": f"{label} (norsk)"} for value, label in options.items()}
    return {"type": "Int32", "options": labels, "choice": kind, **more}


def members(*names: str, **more: Any) -> dict[str, Any]:
    """An enumeration of the metadata."""
    return {"type": "Enum", "members": list(names), **more}


def contract_tables(key: str, key_type: dict[str, Any], modified_on: str, digits: int) -> dict[str, Any]:
    """The two tables of the contract's kit."""
    return {
        "customer": {
            "type": "Customer",
            "key": key,
            "stamp": modified_on,
            "unique": ["number"],
            "tracked": True,
            "fields": {
                key: key_type,
                "number": text(20),
                "name": text(50, nullable=False),
                "city": text(),
                "credit": {"type": "Decimal", "precision": 10, "scale": 2},
                "blocked": {"type": "Boolean"},
                "born": {"type": "Date"},
                "seen": {"type": "DateTimeOffset", "precision": 6},
                "visits": {"type": "Int32"},
                "grade": members("_x0020_", "Gold", "Silver"),
                "terms": choice({1: "Net 30", 2: "2% 10, net 30", 4: "Net 60"}),
                modified_on: stamp(digits),
            },
        },
        "numbered": {
            "type": "Numbered",
            "key": key,
            "stamp": modified_on,
            "fields": {
                key: key_type if key_type["type"] == "Guid" else {"type": "Int32", "nullable": False, "computed": True},
                "name": text(50, nullable=False),
                modified_on: stamp(digits),
            },
        },
    }

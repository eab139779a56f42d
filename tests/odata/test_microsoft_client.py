"""The counterpart that stands for Dataverse in our tests is one that Microsoft's own client can work with."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.environments import programs
from tests.odata.servers import counterpart
from tests.odata.world import tables

CLIENT = Path(__file__).parent / "microsoft_client.py"


def certificate(folder: Path) -> Path:
    """A certificate for this machine, signed by itself, with its key in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    file = folder / "certificate.pem"
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(made.public_bytes(Encoding.PEM) + secret)
    return file


def test_microsofts_client_works_with_the_counterpart(tmp_path: Path) -> None:
    file = certificate(tmp_path)
    config: dict[str, Any] = {"certificate": str(file), "token": "a-token", "stampDigits": 0}
    config["users"] = {"nobody": {"password": "x"}}
    described = tables("dataverse")
    described["accounts"]["type"] = "account"
    with counterpart("dataverse", described, **config) as service:
        program = programs("dataverse-client", "PowerPlatform-Dataverse-Client==1.1.0") / "python"
        done = subprocess.run(
            [program, CLIENT, f"https://127.0.0.1:{service.port}"],
            env={**os.environ, "REQUESTS_CA_BUNDLE": str(file)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(done.stdout)
    created = said["created"]
    assert (created["name"], created["accountnumber"], created["creditlimit"]) == ("Ærlig & Co", "A1", 12.5)
    assert datetime.fromisoformat(created["modifiedon"]).microsecond == 0
    assert (said["updated"]["name"], said["updated"]["address1_city"]) == ("Ærlig & Co", "Oslo")
    assert said["listed"] == ["A2", "A3", "A4"]
    assert said["batch"] == [201, 204, 412]  # Dataverse itself says 204 to the first, for want of a Prefer.
    assert said["deleted"] is None

"""Certificates for servers and clients of the tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


def certificate(folder: Path) -> Path:
    """A certificate for this machine, signed by itself, with its key in one file."""
    file = folder / "certificate.pem"
    file.write_bytes(made_with(ec.generate_private_key(ec.SECP256R1())))
    return file


def of_an_application(*, days: int = 1) -> str:
    """The certificate of an application and its RSA key, good for so many days from yesterday on."""
    return made_with(rsa.generate_private_key(65537, 2048), days).decode()


def made_with(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, days: int = 1) -> bytes:
    """A certificate of a key, signed by itself, and the key."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now - timedelta(hours=1) + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return made.public_bytes(Encoding.PEM) + secret

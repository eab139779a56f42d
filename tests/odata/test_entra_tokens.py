"""Microsoft's library fetches tokens through our own client: proofs, refusals, and where its requests may go."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from service.connectors.base import SettingsRefused
from service.connectors.odata import BusinessCentralConnector, DataverseConnector, entra
from service.core.failures import SideFailed
from tests.odata.certificates import certificate, of_an_application
from tests.odata.servers import contract_tables, counterpart

CLIENT = "11111111-2222-3333-4444-555555555555"


@dataclass
class Entra:
    """A tenant that knows one application. `says`: what it answers instead of a token, and how."""

    port: int
    secret: str = "right"
    certificate: str = ""
    says: Callable[[BaseHTTPRequestHandler], bool] | None = None
    asked: list[str] = field(default_factory=list)
    token: str = "a-token"
    endpoint: str = ""
    life: int = 3600

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def refusal(self, form: dict[str, list[str]]) -> tuple[str, int] | None:
        """Why an application gets no token: the words, and the number of AADSTS."""
        if form["client_id"] != [CLIENT]:
            return "The application was not found in the directory.", 700016
        if "client_assertion" in form:
            return self._assertion(form["client_assertion"][0])
        if form["client_secret"] == ["old"]:
            return "The provided client secret keys for app are expired.", 7000222
        return None if form["client_secret"] == [self.secret] else ("Invalid client secret provided.", 7000215)

    def _assertion(self, text: str) -> tuple[str, int] | None:
        known = x509.load_pem_x509_certificate(self.certificate.encode())
        try:
            named = jwt.get_unverified_header(text)["x5t#S256"]
            claims = jwt.decode(text, known.public_key(), ["RS256", "PS256"], options={"verify_aud": False})  # type: ignore[arg-type]
        except jwt.PyJWTError:
            return "Client assertion failed signature validation. Reason - The key was not found.", 700027
        assert claims["iss"] == claims["sub"] == CLIENT
        assert claims["aud"] == f"{self.url}/contoso/oauth2/v2.0/token"
        assert jwt.utils.base64url_decode(named) == known.fingerprint(SHA256())
        return None


@pytest.fixture
def tenant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Entra]:
    file = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def answer(self, status: int, body: dict[str, Any]) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self) -> None:
            found.asked.append(self.path)
            assert self.path == "/contoso/v2.0/.well-known/openid-configuration"
            if found.says and found.says(self):
                return
            place = found.endpoint or f"{found.url}/contoso/oauth2/v2.0/token"
            self.answer(200, {"authorization_endpoint": place, "token_endpoint": place, "issuer": found.url})

        def do_POST(self) -> None:
            found.asked.append(self.path)
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            assert form["grant_type"] == ["client_credentials"]
            refusal = found.refusal(form)
            if refusal is None:
                self.answer(200, {"access_token": found.token, "expires_in": found.life, "token_type": "Bearer"})
            else:
                said, code = refusal
                body = {"error": "invalid_client", "error_description": f"AADSTS{code}: {said}", "error_codes": [code]}
                self.answer(401, body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    found = Entra(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


def connector(tenant: Entra, url: str = "https://org.crm.dynamics.com", **proof: str) -> DataverseConnector:
    settings = {"url": url, "auth": "clientCredentials", "tenant": "contoso", "authority": tenant.url}
    return DataverseConnector(settings, {"clientId": CLIENT, **proof})


def token_of(made: DataverseConnector) -> str:
    """The token that goes with the connector's requests."""
    auth = made._settings.auth
    return auth.headers(made._service.client._reach)["Authorization"]


def refusal_of(made: DataverseConnector) -> tuple[str, str]:
    with pytest.raises(SideFailed) as failed:
        token_of(made)
    return failed.value.failure.code, str(failed.value.failure.params)


def test_a_secret_gets_a_token_that_is_kept_and_asked_for_anew_when_it_is_refused(tenant: Entra) -> None:
    made = connector(tenant, clientSecret="right")
    assert token_of(made) == token_of(connector(tenant, clientSecret="right")) == "Bearer a-token"
    assert tenant.asked == ["/contoso/v2.0/.well-known/openid-configuration", "/contoso/oauth2/v2.0/token"]
    tenant.token = "another"
    made._settings.auth.renew({"Authorization": "Bearer a-token"})
    assert token_of(made) == "Bearer another"


def test_a_certificate_is_as_good_as_a_secret(tenant: Entra) -> None:
    tenant.certificate = pem = of_an_application()
    key_first = pem[pem.index("-----BEGIN PRIVATE") :] + pem[: pem.index("-----BEGIN PRIVATE")]
    assert token_of(connector(tenant, certificate=pem)) == "Bearer a-token"
    assert token_of(connector(tenant, certificate=key_first)) == "Bearer a-token"
    code, said = refusal_of(connector(tenant, certificate=of_an_application()))
    assert code == "credentials_rejected"
    assert "AADSTS700027" in said
    assert "PRIVATE" not in said


def test_why_there_is_no_token(tenant: Entra) -> None:
    assert refusal_of(connector(tenant, clientSecret="wrong"))[0] == "credentials_rejected"
    code, said = refusal_of(connector(tenant, clientSecret="old"))
    assert (code, "AADSTS7000222" in said) == ("password_change_required", True)
    code, said = refusal_of(connector(tenant, certificate=of_an_application(days=0)))
    assert (code, "expired on" in said) == ("password_change_required", True)
    other = {"url": "https://x.dynamics.com", "auth": "clientCredentials", "tenant": "contoso", "authority": tenant.url}
    unknown = DataverseConnector(other, {"clientId": "another", "clientSecret": "right"})
    assert refusal_of(unknown)[0] == "credentials_rejected"


def _moved(place: str) -> Callable[[BaseHTTPRequestHandler], bool]:
    def say(handler: BaseHTTPRequestHandler) -> bool:
        handler.send_response(302)
        handler.send_header("Location", place)
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return True

    return say


def _status(number: int) -> Callable[[BaseHTTPRequestHandler], bool]:
    def say(handler: BaseHTTPRequestHandler) -> bool:
        handler.send_response(number)
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return True

    return say


def test_its_requests_go_to_the_authority_alone(tenant: Entra) -> None:
    tenant.says = _moved("https://elsewhere.example/")
    assert refusal_of(connector(tenant, clientSecret="redirected"))[0] == "address_refused"
    tenant.says, tenant.endpoint = None, "https://elsewhere.example/token"
    assert refusal_of(connector(tenant, clientSecret="lured away"))[0] == "address_refused"
    assert tenant.asked == ["/contoso/v2.0/.well-known/openid-configuration"] * 2
    for status, code in ((503, "connection_failed"), (500, "connection_failed"), (400, "credentials_rejected")):
        tenant.says = _status(status)
        assert refusal_of(connector(tenant, clientSecret=f"met by {status}"))[0] == code


def test_a_whole_connection_by_tenant(tenant: Entra) -> None:
    tables = contract_tables("customerid", {"type": "Guid", "nullable": False}, "modifiedon", 3)
    with counterpart("dataverse", tables, users={"nobody": {"password": "x"}}, token="a-token") as service:
        tenant.certificate = pem = of_an_application()
        made = connector(tenant, service.url, certificate=pem)
        assert [one.name for one in made.tables()] == ["customer", "numbered"]
        assert pem not in repr(made.__dict__)
        made.close()


def test_settings_by_tenant_are_checked_together(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"url": "https://org.crm.dynamics.com", "auth": "clientCredentials", "tenant": "contoso"}
    with pytest.raises(SettingsRefused) as refused:
        DataverseConnector({**given, "authority": "http://login.example.com"}, {"certificate": "no\ncertificate"})
    assert {name: code for name, code, _ in refused.value.problems} == {
        "clientId": "credential_required",
        "authority": "not_a_web_address",
        "certificate": "not_a_certificate",
    }
    both = {"clientId": CLIENT, "clientSecret": "s", "certificate": of_an_application()}
    with pytest.raises(SettingsRefused) as refused:
        BusinessCentralConnector({**given, "company": "CRONUS"}, both)
    assert [(name, code) for name, code, _ in refused.value.problems] == [("clientSecret", "unknown_credential")]
    by_address = {**given, "tokenUrl": "https://login.example.com/token"}
    with pytest.raises(SettingsRefused) as refused:
        DataverseConnector(by_address, {"clientId": CLIENT, "certificate": of_an_application()})
    assert ("certificate", "unknown_credential") in [(name, code) for name, code, _ in refused.value.problems]

    def missing() -> Any:
        raise ImportError("msal")

    monkeypatch.setattr(entra, "load_msal", missing)
    with pytest.raises(SettingsRefused) as refused:
        DataverseConnector(given, {"clientId": CLIENT, "clientSecret": "s"})
    assert [(name, code) for name, code, _ in refused.value.problems] == [("tenant", "driver_missing")]

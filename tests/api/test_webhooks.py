"""Webhooks: what they are told, that receivers can trust it, that it arrives in the end, and where it never goes."""

from __future__ import annotations

import base64
import hmac
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from service.app import create_app
from service.operations.announcements import SAMPLE, Event, ending
from service.operations.context import Context
from service.operations.webhook_delivery import KEPT, PAUSES, deliver_due, forget_old
from service.operations.webhooks import MOST, OVERLAP
from service.settings.secrets import secret_box
from service.store import webhooks as rows
from service.store.database import connection
from service.worker import Worker, run_until_idle
from tests.api.world import SETTINGS, World
from tests.receiver import Receiver, receiving

LOOPBACK = (ip_network("127.0.0.0/8"),)


@dataclass
class Telling:
    """The world behind an application that may tell receivers on loopback, and whose clock the test turns."""

    world: World
    context: Context
    ahead: int = 0

    def hook(self, url: str, *events: str) -> Any:
        answer = self.world.ask("POST", "/webhooks", {"url": url, **({"events": list(events)} if events else {})})
        assert answer.status_code == 201, answer.text
        return answer.json

    def run(self) -> Any:
        """A run from beginning to end."""
        answer = self.world.ask("POST", "/sync-runs", {"mappingId": 1})
        with connection():
            run_until_idle(self.context)
        return self.world.get(f"/sync-runs/{answer.json['id']}")

    def tell(self) -> int:
        """Everything that is due."""
        with connection():
            return sum(iter(lambda: deliver_due(self.context), 0))

    def deliveries(self, id: int = 1) -> Any:
        return self.world.get(f"/webhooks/{id}/deliveries")["items"]


@pytest.fixture
def telling(world: World) -> Telling:
    found: list[Telling] = []
    box = secret_box(SETTINGS)
    real = Context(box).now
    context = Context(box, private_networks=LOOPBACK, now=lambda: real() + found[0].ahead)
    found.append(Telling(World(world.folder, create_app(SETTINGS, context)), context))
    return found[0]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


def test_what_happened_is_told_and_can_be_trusted(telling: Telling, receiver: Receiver) -> None:
    secret = telling.hook(receiver.url)["secret"]
    world = telling.world
    world.sql("erp", "UPDATE customer SET name = 'Noir & Co' WHERE id = 'c2'")
    world.sql("crm", "UPDATE account SET name = 'Le Café Noir' WHERE accountnumber = '20000'")
    run = telling.run()
    assert receiver.asked == [], "nothing is sent while a run ends"
    assert telling.tell() == 3
    told = {}
    for asked in receiver.asked:
        message = Webhook(secret).verify(asked.body, dict(asked.headers))
        told[message["type"]] = message["data"]
        signed = f"{asked.headers['webhook-id']}.{asked.headers['webhook-timestamp']}.".encode() + asked.body
        own = hmac.digest(base64.b64decode(secret.removeprefix("whsec_")), signed, "sha256")
        assert asked.headers["webhook-signature"] == "v1," + base64.b64encode(own).decode()
    about = {"runId": run["id"], "mappingId": 1, "mapping": "customers"}
    assert {name: told["run.finished"][name] for name in about} == about
    assert (told["run.finished"]["status"], told["run.finished"]["counts"]) == ("completedWithErrors", run["counts"])
    (group,) = told["errorGroup.opened"]["groups"]
    assert (group["code"], group["errors"]) == ("destination_modified_later", 1)
    assert group["id"] == world.get("/errors/groups")["items"][0]["id"]
    assert told["record.skipped"] == {**about, "count": 1, "skippedIds": [world.get("/skipped")["items"][0]["id"]]}
    delivered = telling.deliveries()
    assert [(one["status"], one["attempts"], one["lastStatus"]) for one in delivered] == [("delivered", 1, 204)] * 3
    assert telling.tell() == 0
    # Nothing new: the cause is known, and the record is where it was.
    receiver.asked.clear()
    telling.run()
    telling.tell()
    assert [Webhook(secret).verify(asked.body, dict(asked.headers))["type"] for asked in receiver.asked] == [
        "run.finished"
    ]


def test_what_was_tampered_with_is_found_out(telling: Telling, receiver: Receiver) -> None:
    secret = telling.hook(receiver.url, "run.finished")["secret"]
    telling.run()
    telling.tell()
    (asked,) = receiver.asked
    for body, headers in (
        (asked.body.replace(b"succeeded", b"failed"), asked.headers),
        (asked.body, {**asked.headers, "webhook-id": "msg_other"}),
        (asked.body, {**asked.headers, "webhook-timestamp": "1600000000"}),
    ):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(body, dict(headers))


def test_a_secret_is_renewed_without_a_message_that_cannot_be_checked(telling: Telling, receiver: Receiver) -> None:
    """For a day messages are signed with both; whoever knows the old one only learns nothing new after it."""
    old = telling.hook(receiver.url, "run.finished")
    answer = telling.world.ask("POST", f"/webhooks/{old['id']}/secret")
    new = answer.json
    assert (answer.status_code, new["url"]) == (200, receiver.url)
    assert new["secret"] != old["secret"]
    assert "secret" not in telling.world.get(f"/webhooks/{old['id']}")
    for ahead, good in ((0, (new, old)), (OVERLAP, (new,))):
        telling.ahead = ahead
        telling.run()
        telling.tell()
        asked = receiver.asked[-1]
        sent = datetime.fromtimestamp(int(asked.headers["webhook-timestamp"]), UTC)
        signed = [Webhook(hook["secret"]).sign(asked.headers["webhook-id"], sent, asked.body.decode()) for hook in good]
        assert asked.headers["webhook-signature"].split() == signed
        assert all(Webhook(hook["secret"]).verify(asked.body, dict(asked.headers)) for hook in good if not ahead)
    assert telling.world.ask("POST", "/webhooks/999/secret").status_code == 404
    assert telling.world.ask("POST", f"/webhooks/{old['id']}/secret", If_Match='"1"').status_code == 412


def test_a_guard_and_only_what_is_wanted(telling: Telling, receiver: Receiver) -> None:
    secret = telling.hook(receiver.url, "guard.tripped")["secret"]
    telling.run()
    assert telling.tell() == 0
    telling.world.sql("crm", "DELETE FROM account")
    assert telling.run()["code"] == "side_is_empty"
    assert telling.tell() == 1
    message = Webhook(secret).verify(receiver.asked[0].body, dict(receiver.asked[0].headers))
    assert (message["type"], message["data"]["code"]) == ("guard.tripped", "side_is_empty")


def test_a_cancelled_run_is_told_too(telling: Telling, receiver: Receiver) -> None:
    telling.hook(receiver.url, "run.finished")
    id = telling.world.ask("POST", "/sync-runs", {"mappingId": 1}).json["id"]
    assert telling.world.ask("POST", f"/sync-runs/{id}/cancel").status_code == 202
    assert telling.tell() == 1
    assert b'"cancelled"' in receiver.asked[0].body


def test_it_is_tried_for_days_and_then_given_up(telling: Telling, receiver: Receiver) -> None:
    hook = telling.hook(receiver.url, "run.finished")
    telling.run()
    receiver.status = 500
    assert telling.tell() == 1
    for pause in PAUSES:
        telling.ahead += (pause - 1) * 1_000_000
        assert telling.tell() == 0, "not before its time"
        telling.ahead += pause * 200_000 + 2_000_000
        assert telling.tell() == 1
    assert len(receiver.asked) == 1 + len(PAUSES)
    assert len({asked.headers["webhook-id"] for asked in receiver.asked}) == 1
    assert len({asked.headers["webhook-signature"] for asked in receiver.asked}) == 1 + len(PAUSES)
    (one,) = telling.deliveries()
    assert (one["status"], one["attempts"], one["lastStatus"], one["nextAttemptAt"]) == ("failed", 10, 500, None)
    shown = telling.world.get(f"/webhooks/{hook['id']}")
    assert (shown["enabled"], shown["disabledCode"]) == (False, "failing")
    answer = telling.world.ask("PATCH", f"/webhooks/{hook['id']}", {"enabled": True})
    assert (answer.json["enabled"], answer.json["disabledCode"]) == (True, None)


def test_it_arrives_when_the_receiver_is_back(telling: Telling, receiver: Receiver) -> None:
    telling.hook(receiver.url, "run.finished")
    telling.run()
    receiver.status, receiver.headers = 503, {"Retry-After": "100"}
    telling.tell()
    telling.ahead += 90_000_000
    assert telling.tell() == 0, "the receiver asked for more time than the schedule has"
    telling.ahead += 20_000_000
    receiver.status = 200
    assert telling.tell() == 1
    assert telling.deliveries()[0]["status"] == "delivered"


def test_nobody_there(telling: Telling) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    telling.hook(f"http://127.0.0.1:{port}/x", "run.finished")
    telling.run()
    telling.tell()
    (one,) = telling.deliveries()
    assert (one["status"], one["lastStatus"], one["lastCode"]) == ("waiting", None, "connection_failed")


def test_gone_is_gone(telling: Telling, receiver: Receiver) -> None:
    hook = telling.hook(receiver.url, "run.finished")
    receiver.status = 410
    telling.run()
    telling.run()
    assert telling.tell() == 1, "what waits for it is not sent any more"
    shown = telling.world.get(f"/webhooks/{hook['id']}")
    assert (shown["enabled"], shown["disabledCode"]) == (False, "gone")
    entry = telling.world.get("/audit?noun=webhook&limit=1")["items"][0]
    assert (entry["actor"], entry["after"]) == ("webhooks", {"enabled": False, "disabledCode": "gone"})
    telling.run()
    assert telling.tell() == 0


def test_one_that_fails_does_not_stop_the_others(telling: Telling, receiver: Receiver) -> None:
    with receiving() as broken:
        broken.status = 500
        telling.hook(broken.url, "run.finished")
        telling.hook(receiver.url, "run.finished")
        for _ in range(3):
            telling.run()
        telling.tell()
        assert (len(receiver.asked), len(broken.asked)) == (3, 3)


def test_two_workers_do_not_tell_the_same(telling: Telling, receiver: Receiver) -> None:
    telling.hook(receiver.url, "run.finished")
    telling.run()
    now = telling.context.now()
    with connection():
        assert len(rows.claim(now, now + 60_000_000, 8)) == 1
        assert rows.claim(now, now + 60_000_000, 8) == []
        # The one who took it died: after a minute it is told by another.
        assert len(rows.claim(now + 60_000_000, now + 120_000_000, 8)) == 1


def test_a_real_worker_tells(telling: Telling, receiver: Receiver) -> None:
    telling.hook(receiver.url, "run.finished")
    telling.run()
    worker = Worker(telling.context, threads=1)
    worker.start()
    try:
        telling.world.until(lambda: receiver.asked)
    finally:
        worker.stop()
    assert len(receiver.asked) == 1


def test_an_end_that_is_undone_tells_nothing(telling: Telling, receiver: Receiver) -> None:
    telling.hook(receiver.url)
    telling.run()
    telling.tell()

    def end() -> None:
        with connection(), ending(telling.context, 2):
            raise OSError

    with pytest.raises(OSError):
        end()
    assert telling.tell() == 0
    assert len(telling.deliveries()) == 1


def test_a_flood_is_one_event(telling: Telling, receiver: Receiver) -> None:
    secret = telling.hook(receiver.url, "record.skipped", "errorGroup.opened")["secret"]
    run = telling.run()["id"]
    world = telling.world
    many = 50_000
    world.sql(
        "accord",
        "INSERT INTO error_groups (id, mapping_id, fingerprint, code, first_seen)"
        " VALUES (1, 1, 'f', 'value_rejected', 0)",
    )
    count = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
    world.sql(
        "accord",
        f"{count} INSERT INTO errors SELECT i, ?, 1, 1, 'toIntegration', 'value_rejected', 'data', 'user', '{{}}',"
        " NULL, NULL, 'local', i, 'open', 0 FROM n",
        many,
        run,
    )
    world.sql(
        "accord",
        f"{count} INSERT INTO skipped_records (id, mapping_id, mapping_direction, reason, status, local_key, error_id,"
        " version, created_at) SELECT i, 1, 'bidirectional', 'repeatedFailure', 'open', i, i, 1, 0 FROM n",
        many,
    )
    with connection(), ending(telling.context, run):
        pass
    assert telling.tell() == 2
    told = {}
    for asked in receiver.asked:
        assert len(asked.body) < 2_000
        message = Webhook(secret).verify(asked.body, dict(asked.headers))
        told[message["type"]] = message["data"]
    assert (told["record.skipped"]["count"], told["record.skipped"]["skippedIds"]) == (many, [*range(1, SAMPLE + 1)])
    assert told["errorGroup.opened"]["groups"] == [{"id": 1, "code": "value_rejected", "errors": many}]


def test_what_is_old_is_forgotten(telling: Telling, receiver: Receiver) -> None:
    telling.hook(receiver.url, "run.finished")
    telling.run()
    telling.tell()
    telling.ahead = KEPT + 1_000_000
    with connection():
        assert forget_old(telling.context) == 1
    assert telling.deliveries() == []


def test_there_are_not_too_many(telling: Telling) -> None:
    for number in range(MOST):
        telling.hook(f"https://example.com/{number}")
    answer = telling.world.ask("POST", "/webhooks", {"url": "https://example.com/one-more"})
    assert (answer.status_code, answer.json["code"]) == (409, "too_many_webhooks")


def test_changing_and_deleting(telling: Telling) -> None:
    made = telling.hook("https://hooks.example.com/services/T0-SECRET?x=y")
    path = f"/webhooks/{made['id']}"
    assert made["events"] == [event.value for event in Event]
    shown = telling.world.ask("GET", path)
    assert "secret" not in shown.json
    changed = telling.world.ask("PATCH", path, {"events": ["run.finished"]}, If_Match=shown.headers["ETag"])
    assert changed.json["events"] == ["run.finished"]
    stale = telling.world.ask("PATCH", path, {"enabled": False}, If_Match=shown.headers["ETag"])
    assert stale.status_code == 412
    assert telling.world.ask("DELETE", path, If_Match='"v1"').status_code == 412
    assert telling.world.ask("DELETE", path).status_code == 204
    assert telling.world.ask("GET", f"{path}/deliveries").status_code == 404
    assert "SECRET" not in telling.world.ask("GET", "/audit?noun=webhook").text


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("ftp://example.com/x", "forbidden_character"),
        ("https:///x", "webhook_url_wrong"),
        ("https://user:pass@example.com/", "webhook_url_wrong"),
        ("https://example.com/#x", "webhook_url_wrong"),
        ("https://example.com:99999/", "webhook_url_wrong"),
        ("http://[::1/", "webhook_url_wrong"),
        ("http://169.254.169.254/latest/meta-data", "address_refused"),
        ("http://[::ffff:169.254.169.254]/", "address_refused"),
        ("http://10.1.2.3/", "address_refused"),
        ("http://[fd00:ec2::254]/", "address_refused"),
        ("http://0.0.0.0/", "address_refused"),
    ],
)
def test_addresses_that_are_refused_when_they_are_said(telling: Telling, url: str, code: str) -> None:
    answer = telling.world.ask("POST", "/webhooks", {"url": url})
    assert answer.status_code == 422
    assert [(item["pointer"], item["code"]) for item in answer.json["errors"]] == [("/url", code)]


# Where it never goes


def test_a_redirect_is_not_followed(telling: Telling, receiver: Receiver, connected: list[Any]) -> None:
    with receiving() as elsewhere:
        for status in (301, 302, 303, 307, 308):
            receiver.status, receiver.headers = status, {"Location": elsewhere.url}
            telling.hook(receiver.url, "run.finished")
        telling.run()
        telling.tell()
        assert elsewhere.asked == []
    assert {port for _, port in connected} == {receiver.port}
    assert telling.deliveries()[0]["lastStatus"] == 308


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "10.0.0.5", "::ffff:169.254.169.254", "fd00:ec2::254", "168.63.129.16", "0.0.0.0"]
)
def test_a_name_that_leads_elsewhere_the_second_time(
    telling: Telling, receiver: Receiver, connected: list[Any], monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    """The name is looked up once for each attempt, and the address that was checked is the one that is connected to."""
    answers = iter(["127.0.0.1", *[address] * 8])
    family = socket.AF_INET6 if ":" in address else socket.AF_INET

    def resolve(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        assert host == "hooks.example.com"
        found = next(answers)
        return [(family if found == address else socket.AF_INET, socket.SOCK_STREAM, 6, "", (found, port))]

    telling.hook(f"http://hooks.example.com:{receiver.port}/x", "run.finished")
    telling.run()
    telling.run()
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert telling.tell() == 2
    assert len(receiver.asked) == 1
    refused, delivered = telling.deliveries()
    assert (delivered["status"], refused["status"]) == ("delivered", "waiting")
    assert (refused["lastStatus"], refused["lastCode"]) == (None, "address_refused")
    assert connected == [("127.0.0.1", receiver.port)]


def test_a_name_with_a_good_and_a_bad_address_goes_to_the_good_one(
    telling: Telling, receiver: Receiver, connected: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def resolve(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in ("169.254.169.254", "127.0.0.1")]

    telling.hook(f"http://hooks.example.com:{receiver.port}/x", "run.finished")
    telling.run()
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    telling.tell()
    assert connected == [("127.0.0.1", receiver.port)]
    assert len(receiver.asked) == 1


def test_no_private_network_without_the_setting(world: World, receiver: Receiver, connected: list[Any]) -> None:
    """Not even by a name of this machine: what a webhook may reach is for whoever runs the service to say."""
    context = Context(secret_box(SETTINGS))
    telling = Telling(World(world.folder, create_app(SETTINGS, context)), context)
    telling.hook(f"http://localhost:{receiver.port}/", "run.finished")
    telling.run()
    telling.tell()
    assert telling.deliveries()[0]["lastCode"] == "address_refused"
    assert (receiver.asked, connected) == ([], [])


def test_a_proxy_of_the_environment_is_not_used(
    telling: Telling, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiving() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        telling.hook(receiver.url, "run.finished")
        telling.run()
        telling.tell()
        assert (len(receiver.asked), proxy.asked) == (1, [])

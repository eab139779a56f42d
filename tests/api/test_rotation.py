"""Keys are exchanged: what was encrypted with the old one is encrypted with the new one, and the old one can go."""

from __future__ import annotations

from service.app import create_app
from service.operations import secrets
from service.operations.context import Context
from service.settings.environment import read_settings
from service.settings.secrets import secret_box
from service.store.database import connection
from service.store.models import MODELS
from service.store.secrets import SEALED
from tests.api.world import SETTINGS, World

NEW = "the-new-key-of-the-tests"


def under(world: World, keys: str) -> tuple[World, Context]:
    """The same world behind an application that has these keys."""
    settings = read_settings({"ACCORD_SECRET_KEY": keys, "ACCORD_RATE_LIMIT": "off"})
    context = Context(secret_box(settings))
    return World(world.folder, create_app(settings, context)), context


def sealed(world: World) -> dict[str, list[str]]:
    """Every encrypted text."""
    return {
        f"{table}.{column}": [text for (text,) in world.sql("accord", f"SELECT {column} FROM {table}") if text]
        for table, column in SEALED
    }


def furnish(world: World) -> None:
    body = {"name": "dear", "kind": "sql", "settings": {"url": "postgresql://a:pass@db.example.com/x"}}
    assert world.ask("POST", "/connections", body, Idempotency_Key="k").status_code == 201
    assert world.ask("POST", "/webhooks", {"url": "https://example.com/x"}).status_code == 201


def test_the_old_key_can_go(world: World) -> None:
    furnish(world)
    old = SETTINGS.secret_key or ""
    before = sealed(world)
    assert all(before.values()), "every kind of secret is there"
    both, context = under(world, f"{NEW},{old}")
    body = {"name": "dear", "kind": "sql", "settings": {"url": "postgresql://a:pass@db.example.com/x"}}
    assert both.ask("POST", "/connections", body, Idempotency_Key="k").headers["Idempotency-Replayed"] == "true"
    with connection():
        done, lost = secrets.rotate(context, "test")
    assert (done, lost) == (sum(map(len, before.values())), [])
    after = sealed(world)
    assert not {text for texts in before.values() for text in texts} & {
        text for texts in after.values() for text in texts
    }
    alone, context = under(world, NEW)
    assert alone.ask("POST", "/connections", body, Idempotency_Key="k").headers["Idempotency-Replayed"] == "true"
    for texts in after.values():
        for text in texts:
            assert context.secrets.open(text)
    assert world.get("/audit?noun=secrets")["items"][0]["after"] == {"encrypted": done, "lost": 0}


def test_what_no_key_opens_is_told_and_left_alone(world: World) -> None:
    furnish(world)
    before = sealed(world)
    _, context = under(world, NEW)
    with connection():
        done, lost = secrets.rotate(context, "test")
    assert done == 0
    assert {table for table, _ in lost} == {table for table, _ in SEALED}
    assert sealed(world) == before


def test_every_encrypted_column_is_known() -> None:
    """What looks like one is one: a new column is not forgotten."""
    words = ("secret", "credential", "password", "response_body")
    found = {
        (model._meta.table_name, field.column_name)
        for model in MODELS
        for field in model._meta.sorted_fields
        if any(word in field.column_name for word in words)
    }
    assert found == set(SEALED)

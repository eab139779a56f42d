"""Kinds are found by name: our own, and those that other packages bring along."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.connectors import CONNECTORS, connector_class, connector_kinds
from service.connectors.memory import MemoryConnector

PACKAGE = """
from service.connectors.memory import MemoryConnector

class Shop(MemoryConnector):
    kind = "shop"

nothing = object()
"""
ENTRY_POINTS = """
[accord.connectors]
shop = accord_shop:Shop
sql = accord_shop:Shop
broken = accord_shop:nothing
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package of a third party, as pip leaves it."""
    (tmp_path / "accord_shop.py").write_text(PACKAGE)
    metadata = tmp_path / "accord_shop-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: accord-shop\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("accord_shop", None)


def test_every_kind_is_listed_under_its_own_name() -> None:
    assert {kind: connector.kind for kind, connector in CONNECTORS.items()} == {kind: kind for kind in CONNECTORS}
    assert all(connector.SETTINGS for connector in CONNECTORS.values())
    assert set(CONNECTORS) <= set(connector_kinds())


def test_an_installed_kind_is_loaded_when_it_is_asked_for(installed: None) -> None:
    assert "shop" in connector_kinds()
    assert "accord_shop" not in sys.modules
    assert issubclass(connector_class("shop"), MemoryConnector)
    assert connector_class("sql") is CONNECTORS["sql"]


def test_an_unknown_kind_is_a_key_error(installed: None) -> None:
    for kind in ("nothing", "broken"):
        with pytest.raises(KeyError):
            connector_class(kind)

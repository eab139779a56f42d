"""Settings of SQL connections are checked before anything is connected, and passwords stay where they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from service.connectors.base import Connector, SettingsRefused
from service.connectors.naming import MODIFIED_ON
from service.connectors.sql import SqlConnector

PASSWORD = "hunter2 of course"


@pytest.mark.parametrize(
    ("settings", "credentials", "problems"),
    [
        ({}, {}, {"url": "setting_required"}),
        ({"url": 7}, {}, {"url": "not_a_text"}),
        ({"url": "customers.db"}, {}, {"url": "not_a_database_url"}),
        ({"url": "postgresql://host:port/x"}, {}, {"url": "not_a_database_url"}),
        ({"url": "sqlite://"}, {}, {"url": "not_a_file"}),
        ({"url": "sqlite:///:memory:"}, {}, {"url": "not_a_file"}),
        ({"url": "mssql://host/erp"}, {}, {"url": "database_not_supported_yet"}),
        ({"url": "access://host/erp"}, {}, {"url": "database_not_supported"}),
        ({"url": "sqlite:///x", "uri": "y"}, {"token": "x"}, {"uri": "unknown_setting", "token": "unknown_credential"}),
        (
            {"url": "sqlite:///x", "schema": 1, "overlapSeconds": -1},
            {},
            {"schema": "not_a_text", "overlapSeconds": "not_a_duration"},
        ),
        ({"url": "sqlite:///x", "overlapSeconds": True}, {}, {"overlapSeconds": "not_a_duration"}),
    ],
)
def test_every_problem_is_named(
    settings: dict[str, Any], credentials: dict[str, Any], problems: dict[str, str]
) -> None:
    with pytest.raises(SettingsRefused) as refused:
        SqlConnector(settings, credentials)
    assert {name: code for name, code, _ in refused.value.problems} == problems


def test_a_password_is_never_shown() -> None:
    for url in ("postgresql://u:{}@127.0.0.1:1/x", "mysql://u:{}@h/x", "postgresql://u:{}@h:port/x"):
        text = url.format(PASSWORD.replace(" ", "%20"))
        try:
            connector = SqlConnector({"url": text}, {"password": PASSWORD})
        except SettingsRefused as refused:
            shown = repr(refused.problems) + repr(refused)
        else:
            shown = repr(connector.check([])) + repr(connector._settings) + str(connector._settings)
            connector.close()
        assert "hunter2" not in shown


def test_the_overlap_is_a_setting() -> None:
    connector = SqlConnector({"url": "sqlite:///x", "overlapSeconds": 0.5}, {})
    assert connector.overlap == 500_000
    assert SqlConnector({"url": "sqlite:///x"}, {}).overlap == Connector.overlap
    connector.close()


def test_links_are_parts_of_a_url() -> None:
    connector = SqlConnector({"url": "sqlite:///x", "linkTemplate": "https://erp.example/{table}/{key}?x={key}"}, {})
    assert connector.link("Sales Order", "a/{table}&b") == (
        "https://erp.example/Sales%20Order/a%2F%7Btable%7D%26b?x=a%2F%7Btable%7D%26b"
    )
    connector.close()


def test_every_name_of_a_stamp_is_documented_in_its_order() -> None:
    page = (Path(__file__).parents[2] / "docs/connectors/sql.md").read_text(encoding="utf-8")
    listed = page.partition("other signs aside: ")[2].partition(". Something")[0]
    assert tuple(name.strip("`\n ").replace(" ", "").replace("\n", "") for name in listed.split(",")) == MODIFIED_ON

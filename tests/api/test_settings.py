"""Settings: defaults, files, refusals, and secrets that are made where none are given."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from service.settings.environment import SETTINGS, read_settings
from service.settings.secrets import secret_box, weak_secrets, with_secrets
from service.settings.values import SettingsWrong


def test_defaults() -> None:
    settings = read_settings({})
    assert (settings.host, settings.port, settings.database_url) == ("127.0.0.1", 8080, "sqlite:///accord.db")
    assert (settings.token, settings.secret_key, settings.queue_url) == (None, None, None)
    assert all(setting.sentence for setting in SETTINGS.values())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ACCORD_PORT", "80 80"),
        ("ACCORD_PORT", "65536"),
        ("ACCORD_HOST", "my host"),
        ("ACCORD_DATABASE_URL", "mysql://x/y"),
        ("ACCORD_DATABASE_URL", "http://["),
        ("ACCORD_QUEUE_URL", "redis://"),
        ("ACCORD_TOKEN", "with a blank"),
        ("ACCORD_SECRET_KEY", "one,,three"),
        ("ACCORD_LOG_FORMAT", "xml"),
        ("ACCORD_THREADS", "0"),
        ("ACCORD_RATE_LIMIT", "100"),
        ("ACCORD_LOG_LEVEL", "loud"),
        ("ACCORD_RATE_LIMIT", "0/second"),
        ("ACCORD_PRIVATE_NETWORKS", "10.0.0.0/8,home"),
        ("ACCORD_PRIVATE_NETWORKS", "10.0.0.1/8"),
    ],
)
def test_a_wrong_value_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsWrong, match=name) as refused:
        read_settings({name: value})
    if name in ("ACCORD_TOKEN", "ACCORD_SECRET_KEY"):
        assert value not in str(refused.value)


def test_a_value_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("a-token-from-a-file\n")
    assert read_settings({"ACCORD_TOKEN_FILE": str(file)}).token == "a-token-from-a-file"
    with pytest.raises(SettingsWrong, match="both set"):
        read_settings({"ACCORD_TOKEN_FILE": str(file), "ACCORD_TOKEN": "a-token-of-its-own"})
    with pytest.raises(SettingsWrong, match="cannot be read"):
        read_settings({"ACCORD_TOKEN_FILE": str(tmp_path / "nix")})


def test_secrets_are_made_once_and_kept_private(tmp_path: Path) -> None:
    said: list[str] = []
    settings = read_settings({"ACCORD_DATABASE_URL": f"sqlite:///{tmp_path}/accord.db"})
    first = with_secrets(settings, lambda _, token: said.append(token))
    assert first.token is not None
    assert first.token in said[0]
    again = with_secrets(settings, lambda _, token: said.append(token))
    assert (again.token, again.secret_key, len(said)) == (first.token, first.secret_key, 1)
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}
    assert len(list(tmp_path.iterdir())) == 2
    assert first.token not in repr(first)


def test_with_postgresql_secrets_are_kept_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = with_secrets(read_settings({"ACCORD_DATABASE_URL": "postgresql://h/d"}), lambda *_: None)
    assert {file.name for file in tmp_path.iterdir()} == {"accord.db.key", "accord.db.token"}
    assert made.secret_key is not None


def test_everything_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(SettingsWrong, match=r"ACCORD_PORT .* ACCORD_LOG_FORMAT "):
        read_settings({"ACCORD_PORT": "x", "ACCORD_LOG_FORMAT": "xml"})


def test_a_short_secret_works_and_is_warned_of() -> None:
    settings = read_settings({"ACCORD_TOKEN": "secret", "ACCORD_SECRET_KEY": "x" * 40})
    assert weak_secrets(settings) == ["ACCORD_TOKEN"]


def test_keys_can_be_rotated() -> None:
    old, new = Fernet.generate_key().decode(), "a secret of any form, long enough"
    sealed = secret_box(read_settings({"ACCORD_SECRET_KEY": old})).seal({"password": "x"})
    rotated = secret_box(read_settings({"ACCORD_SECRET_KEY": f"{new.replace(',', '')},{old}"}))
    assert rotated.open(sealed) == {"password": "x"}

"""The secrets of an installation: its first token and the keys that encrypt credentials, given, or kept in files."""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from service.operations.context import SecretBox
from service.operations.tokens import make_text
from service.settings.environment import Settings, beside_database
from service.settings.values import SettingsWrong, Wrong

LONG_ENOUGH = 16
"""Characters from which on a secret is not to be guessed; a shorter one works, with a warning."""


def weak_secrets(settings: Settings) -> list[str]:
    """The names of the secrets that are short enough to be guessed."""
    keys = (settings.secret_key or "").split(",") if settings.secret_key else []
    weak = ["ACCORD_TOKEN"] if settings.token and len(settings.token) < LONG_ENOUGH else []
    return weak + (["ACCORD_SECRET_KEY"] if any(len(key) < LONG_ENOUGH for key in keys) else [])


def with_secrets(settings: Settings, announce: Callable[[Path, str], None]) -> Settings:
    """The settings with a token and a secret key: those that were given, those beside the database, or new ones.

    With PostgreSQL they are kept in the folder that the process was started in, and processes on several machines have
    to be given the same. `announce` is told a new token, and the file that it is kept in, once. Raises
    SettingsWrong where they cannot be kept.
    """
    if settings.secret_key is None:
        settings = replace(settings, secret_key=_kept(beside_database(settings, ".key"), _new_key)[0])
    if settings.token is None:
        place = beside_database(settings, ".token")
        token, made = _kept(place, make_text)
        settings = replace(settings, token=token)
        if made:
            announce(place, token)
    return settings


def secret_box(settings: Settings) -> SecretBox:
    """What encrypts credentials under the settings' keys."""
    return SecretBox(*(_fernet_key(key) for key in (settings.secret_key or "").split(",")))


def _fernet_key(text: str) -> str:
    """A Fernet key as it is; from any other text one is derived, so that any long enough secret will do."""
    try:
        Fernet(text)
    except ValueError:
        derived = HKDF(SHA256(), 32, salt=None, info=b"accord credentials").derive(text.encode())
        return base64.urlsafe_b64encode(derived).decode()
    return text


def _new_key() -> str:
    return Fernet.generate_key().decode()


def _kept(place: Path, make: Callable[[], str]) -> tuple[str, bool]:
    """What a file holds, and whether it was made just now, readable by its owner alone.

    The file appears with its content or not at all: of several processes that start at once, one makes it.
    """
    draft = place.with_name(f"{place.name}.{secrets.token_hex(4)}")
    try:
        if not place.exists():
            text = make()
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text + "\n")
            try:
                os.link(draft, place)
                return text, True
            except FileExistsError:
                pass
            finally:
                draft.unlink()
        kept = place.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsWrong([Wrong("{file} cannot be made or read: {detail}.", file=place, detail=error)]) from error
    if not kept:
        raise SettingsWrong([Wrong("{file} is empty; delete it to have a new one made.", file=place)])
    return kept, False

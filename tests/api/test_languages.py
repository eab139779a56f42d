"""Texts follow `Accept-Language` or the environment of the shell, codes never change, and no catalogue lacks a text."""

from __future__ import annotations

import string
from collections import Counter
from functools import cache
from typing import Any

import pytest
from babel.messages import Catalog, Message
from babel.messages.pofile import read_po

from scripts import messages
from service import wording
from service.wording import formats
from service.wording.catalogues import catalogue_path
from service.wording.languages import LANGUAGES, from_environment, negotiate
from tests.api.test_command import accord
from tests.api.world import World

OTHERS = sorted(set(LANGUAGES) - {"en"})
FORMS = {"nb": 2, "cs": 3, "fr": 2}


@cache
def catalogue(language: str) -> Catalog:
    with catalogue_path(language).open("rb") as file:
        return read_po(file, locale=language)


def forms(text: Any) -> tuple[str, ...]:
    return tuple(text) if isinstance(text, list | tuple) else (text,)


def names(messages: Any) -> set[tuple[str | None, str]]:
    return {(message.context, forms(message.id)[0]) for message in messages if message.id}


def places(text: str) -> Counter[str | None]:
    return Counter(name for _, name, _, _ in string.Formatter().parse(text) if name is not None)


@pytest.mark.parametrize("language", OTHERS)
def test_no_text_is_missing_and_none_is_stale(language: str) -> None:
    there, wanted = names(catalogue(language)), names(messages.template())
    assert not wanted - there, "run scripts/messages, and translate what it lists"
    assert not there - wanted, "these are said no more: run scripts/messages"


@pytest.mark.parametrize("language", OTHERS)
def test_every_text_is_translated_and_none_is_a_guess(language: str) -> None:
    told = catalogue(language)
    assert not [message.id for message in messages.untranslated(told)]
    assert not [message.id for message in told if message.id and message.fuzzy]


def counted(message: Message) -> bool:
    return isinstance(message.id, list | tuple)


@pytest.mark.parametrize("language", OTHERS)
def test_texts_have_the_same_places_and_as_many_forms_as_the_language(language: str) -> None:
    for message in catalogue(language):
        told = forms(message.string)
        if message.id:
            assert len(told) == (FORMS[language] if counted(message) else 1), message.id
            for text in told:
                assert places(text) == places(forms(message.id)[-1]), message.id


@pytest.mark.parametrize("language", OTHERS)
def test_sentences_end_as_the_english_ones_do(language: str) -> None:
    for message in catalogue(language):
        if message.id:
            assert {text.endswith(".") for text in forms(message.string)} == {forms(message.id)[-1].endswith(".")}, (
                message.id
            )


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("nb", "nb"),
        ("no", "nb"),
        ("nn-NO, en;q=0.5", "nb"),
        ("fr-CH, fr;q=0.9, en;q=0.8", "fr"),
        ("en;q=0.3, cs;q=0.7", "cs"),
        ("tlh, CS-cz;q=0.1", "cs"),
        ("fr;q=0, cs;q=0.2", "cs"),
        ("*, fr;q=0.5", "en"),
        ("de", "en"),
        ("fr;q=2", "en"),
    ],
)
def test_the_header_chooses(header: str, language: str) -> None:
    assert negotiate(header) == language


@pytest.mark.parametrize(
    ("environ", "language"),
    [
        ({}, "en"),
        ({"LANG": "nb_NO.UTF-8"}, "nb"),
        ({"LANG": "fr_FR", "LC_ALL": "cs_CZ.UTF-8"}, "cs"),
        ({"LANG": "fr_FR", "LC_MESSAGES": "no_NO", "LC_ALL": ""}, "nb"),
        ({"LANG": "fr_FR", "LC_ALL": "C.UTF-8"}, "en"),
        ({"LANG": "POSIX"}, "en"),
        ({"LANG": "???"}, "en"),
    ],
)
def test_the_environment_chooses(environ: dict[str, str], language: str) -> None:
    assert from_environment(environ) == language


@pytest.mark.parametrize(
    ("days", "told"),
    [(1, "do 1 dne"), (3, "do 3 dnů"), (5, "do 5 dnů")],
)
def test_plural_forms(days: int, told: str) -> None:
    assert told in wording.say("password_change", {"rule": "warn", "days": days}, "cs").message


def test_czech_has_three_forms_and_numbers_are_written_as_in_the_language() -> None:
    forms = ("{number} connection checked.", "{number} connections checked.")
    said = [wording.count(*forms, number, "cs") for number in (1, 2, 5, 12345)]
    assert said == [
        "Zkontrolováno 1 připojení.",
        "Zkontrolována 2 připojení.",
        "Zkontrolováno 5 připojení.",
        "Zkontrolováno 12\xa0345 připojení.",
    ]
    assert wording.count(*forms, 12345) == "12,345 connections checked."


def test_moments() -> None:
    stamp = 1_795_255_323_000_000
    assert formats.moment(stamp, "en").startswith("Nov 21, 2026")
    assert formats.moment(stamp, "nb").startswith("21. nov. 2026")
    assert formats.moment(stamp, "cs").startswith("21. 11. 2026")
    assert formats.distance(stamp, stamp + 180_000_000, "fr") == "il y a 3 minutes"


def test_words_of_ours_are_translated_and_codes_of_callers_are_not() -> None:
    assert wording.say("not_found", {"noun": "skipped", "id": 5}, "nb").message == "Finnes ikke: tilsidesatt post 5."
    assert "fromIntegration" in wording.say("direction_not_allowed", {"direction": "fromIntegration"}, "fr").message
    assert wording.say("not_found", {"noun": "mapping"}, "cs").message == "Neexistuje: mapování (neznámé)."


def test_an_error_is_read_in_another_language_than_it_was_made_in(lively: World) -> None:
    first = lively.ask("GET", "/errors?code=destination_modified_later", Accept_Language="nb")
    again = lively.ask("GET", "/errors?code=destination_modified_later", Accept_Language="cs, en;q=0.5")
    told, retold = first.json["items"][0], again.json["items"][0]
    assert (first.headers["Content-Language"], again.headers["Content-Language"]) == ("nb", "cs")
    assert "senere endringsdato" in told["message"]
    assert "pozdější datum změny" in retold["message"]
    assert told["code"] == retold["code"] == "destination_modified_later"
    assert "Accept-Language" in again.headers["Vary"]


def test_every_fault_of_a_request_is_told_in_the_language(world: World) -> None:
    refused = world.ask("POST", "/mappings", {"name": 5, "nix": 1}, Accept_Language="fr")
    assert refused.status_code == 422
    assert refused.json["title"] == "Valeurs incorrectes"
    details = {error["pointer"]: error["detail"] for error in refused.json["errors"]}
    assert details["/name"] == "Cela doit être un texte."
    assert details["/nix"] == "Ce champ n’existe pas."
    assert details["/local"] == "C’est obligatoire."


def test_problems_explain_themselves_in_the_language(world: World) -> None:
    said = world.app.test_client().get("/problems/timeout", headers={"Accept-Language": "cs"})
    told: Any = said.json
    assert (told["code"], told["title"]) == ("timeout", "Odpověď nepřišla včas")


def test_a_repeated_request_is_answered_in_the_first_language(world: World) -> None:
    first = world.ask("POST", "/sync-runs", {"mappingId": 1}, Idempotency_Key="k", Accept_Language="fr")
    again = world.ask("POST", "/sync-runs", {"mappingId": 1}, Idempotency_Key="k", Accept_Language="cs")
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json == first.json
    assert first.headers["Content-Language"] == again.headers["Content-Language"] == "fr"


def test_the_command_speaks_the_language_of_the_shell(tmp_path: Any) -> None:
    helped = accord(tmp_path, "sync", "--help", LANG="nb_NO.UTF-8", PYTHONUTF8="1")
    assert "Synkroniser MAPPING" in helped.stdout
    refused = accord(tmp_path, "migrate", ACCORD_PORT="0", LC_ALL="cs_CZ.UTF-8", PYTHONUTF8="1")
    assert refused.returncode == 2
    assert "ACCORD_PORT není číslo od 1 do 65535." in refused.stderr

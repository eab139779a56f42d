"""Every code that the service can say has a sentence, and the sentence has everything it needs."""

from __future__ import annotations

import ast
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

from service import wording
from service.core.failures import FAILURES
from service.wording.english import ENGLISH
from service.wording.words import Counted

SERVICE = Path(wording.__file__).parents[1]
CALLS = {
    "Failure": 0,
    "Conflict": 0,
    "NotReady": 0,
    "NotSignedIn": 0,
    "Problem": 1,
    "refuse": 0,
    "Fault": 0,
    "Check": 0,
}
"""What is called with a code, and which argument it is."""


def codes() -> Iterator[tuple[str, str]]:
    """Every code in the source, with where it stands."""
    for file in SERVICE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALLS:
                place = CALLS[node.func.id]
                if len(node.args) > place:
                    for constant in ast.walk(node.args[place]):
                        if isinstance(constant, ast.Constant) and isinstance(constant.value, str):
                            yield constant.value, f"{file.name}:{node.lineno}"


@pytest.mark.parametrize("code", sorted(FAILURES))
def test_every_failure_has_a_sentence_and_advice(code: str) -> None:
    assert ENGLISH[code].message
    assert ENGLISH[code].advice


def test_every_code_in_the_source_has_a_sentence() -> None:
    missing = sorted({f"{code} ({where})" for code, where in codes() if not wording.known(code)})
    assert not missing


def test_sentences_are_well_formed() -> None:
    for code, words in ENGLISH.items():
        for text in words.texts:
            assert all(name is None or name.isidentifier() for _, name, _, _ in string.Formatter().parse(text)), code
        assert words.title
        assert not words.title.endswith(".")


def test_the_origins_sentence() -> None:
    said = wording.say("destination_modified_later", {"destination": "Customer", "source": "Account"})
    assert (
        said.message == "Cannot update the Customer record because it has a later modified date than the Account record"
    )


@pytest.mark.parametrize(
    ("code", "params", "message"),
    [
        ("value_rejected", {"rule": "not_null", "field": "name"}, "The field name must have a value"),
        ("value_rejected", {"rule": "not_a", "field": "name"}, "The value for the field name was refused"),
        ("value_rejected", {"rule": "trigger", "detail": "no entry"}, "The destination refused the record: no entry."),
        ("value_too_long", {"detail": "x"}, "A text of the record is too long"),
        (
            "permission_denied",
            {"table": "account", "detail": ""},
            "The user of the connection lacks a right to account.",
        ),
        ("connection_failed", {}, "The business application cannot be reached."),
        ("mass_deletion", {"deletions": 9, "coupled": 10, "allowed": 2}, "9 of 10 coupled records were deleted"),
        ("partner_deleted", {"table": "account", "key": "1"}, "The coupled record in account no longer exists."),
    ],
)
def test_a_sentence_is_said_that_has_all_it_needs(code: str, params: dict[str, object], message: str) -> None:
    assert wording.say(code, params).message.startswith(message)


def test_values_are_shown_and_never_formatted() -> None:
    said = wording.say("not_found", {"noun": "{advice}", "id": "x" * 1000})
    assert said.message.startswith("There is no {advice} xxx")
    assert len(said.message) < 300
    assert "(unknown)" in wording.say("not_found").message
    assert wording.say("never_heard_of").message == "Never heard of."


@pytest.mark.parametrize(
    ("header", "language"),
    [(None, "en"), ("", "en"), ("en-GB,en;q=0.5", "en"), ("tlh, *;q=0.1", "en"), ("en;q=0", "en"), ("x" * 5000, "en")],
)
def test_negotiation(header: str | None, language: str) -> None:
    assert wording.negotiate(header) == language


def test_what_was_said_before_is_not_said_of_something_else() -> None:
    """Sentences are kept by the values in them, and 1 is not said as true is."""
    fields = ("a", "b", 1, True, 1.5, None, ["a", 1], ["a", True], {"a": 1}, "a")
    said = [
        wording.say("value_rejected", {"field": field, "other": other}).message
        for field in fields
        for other in (1, [2])
    ]
    assert said[::2] == said[1::2]
    assert len(set(said)) == len(fields) - 1
    assert said[0] == said[-1]


@pytest.mark.parametrize("language", ["en", "nb", "cs", "fr"])
def test_sentences_that_depend_on_a_number(language: str) -> None:
    counted = {code: words.message.by for code, words in ENGLISH.items() if isinstance(words.message, Counted)}
    assert counted
    for code, by in counted.items():
        params = {name: "x" for part in ENGLISH[code].texts for _, name, _, _ in string.Formatter().parse(part) if name}
        one, many, again = (wording.say(code, {**params, by: number}, language).message for number in (1, 5, 1))
        assert one == again != many, code

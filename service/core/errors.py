"""What an operation refuses, grouped by what the caller does about it. Sentences are made at the rims (`wording`).

AccordError
  NotFound            no such item
  Conflict            the item's state does not allow it (a code says why)
  Stale               somebody else changed the item since it was read
  Invalid             the request is well-formed but wrong: all problems at once
  Unavailable         a business application cannot answer now
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from service.core.failures import Failure


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a request: where (a JSON pointer), which (a code of `wording`), and with what."""

    pointer: str
    code: str
    params: Mapping[str, Any] = field(default_factory=dict)


class Explained(Exception):
    """What stops a process before it serves anybody: an English sentence with places, and what is in them.

    `wording` says the sentence in other languages.
    """

    def __init__(self, sentence: str, **params: object) -> None:
        super().__init__(sentence, params)
        self.sentence = sentence
        self.params = params

    def __str__(self) -> str:
        return self.sentence.format_map(self.params)


class AccordError(Exception):
    """A refusal with a stable code and the parameters of its sentence."""

    def __init__(self, code: str, **params: Any) -> None:
        super().__init__(code, params)
        self.code = code
        self.params = params


class NotFound(AccordError):
    """No such item; `noun` and `id` say which."""

    def __init__(self, noun: str, id: object) -> None:
        super().__init__("not_found", noun=noun, id=id)


class Conflict(AccordError):
    """The present state does not allow it: `already_coupled`, `open_conflicts`, `already_resolved`, ..."""


class Stale(AccordError):
    """The item has another version than the caller names."""

    def __init__(self, noun: str, id: object) -> None:
        super().__init__("precondition_failed", noun=noun, id=id)


class Invalid(AccordError):
    """Well-formed, but wrong values; `problems` lists all of them."""

    def __init__(self, problems: Sequence[Problem], code: str = "validation_failed") -> None:
        super().__init__(code)
        self.problems = tuple(problems)


class Unavailable(AccordError):
    """A business application did not answer as it should while the caller was waiting; `failure` says how."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.code, **failure.params)
        self.failure = failure

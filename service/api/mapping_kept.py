"""The field mappings of mappings as answers say them, kept as JSON: a page of mappings has a thousand of them, which
change only when somebody changes a mapping.

What is kept is good for one version of a mapping, as it was written at one instant, and for the names that all mappings
have: a field mapping that refers to another mapping says its name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from flask import Flask, current_app

from service.api.mapping_lines import LineAnswer
from service.operations import mappings

MOST = 2_000
"""So many mappings are kept, of about 4 kB each."""

KEPT = "accord-mapping-lines"
"""Where the app keeps them."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept while the mappings have these names, by id, version, and when that was written."""

    names: Mapping[int, str]
    lines: dict[tuple[int, int, int], orjson.Fragment]


class KeptLines:
    """The field mappings that one application keeps."""

    def __init__(self) -> None:
        self._kept = Kept({}, {})

    def __len__(self) -> int:
        return len(self._kept.lines)

    def put_into(self, documents: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """The documents of mappings with their field mappings, as JSON."""
        kept = self._of_now()
        missing = [document["id"] for document in documents if _key(document) not in kept.lines]
        read = mappings.lines(missing, kept.names) if missing else {}
        whole = []
        for document in documents:
            lines = kept.lines.get(_key(document))
            if lines is None:
                lines = kept.lines[_key(document)] = orjson.Fragment(orjson.dumps(_answer.dump(read[document["id"]])))
            whole.append({**document, "field_mappings": lines})
        return whole

    def _of_now(self) -> Kept:
        names, kept = mappings.names(), self._kept
        if names != kept.names or len(kept.lines) > MOST:
            kept = self._kept = Kept(names, {})
        return kept


_answer = LineAnswer(many=True)


def _key(document: Mapping[str, Any]) -> tuple[int, int, int]:
    return document["id"], document["version"], document["updated_at"]


def with_lines(documents: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The documents of mappings with their field mappings, as JSON."""
    kept: KeptLines = current_app.extensions[KEPT]
    return kept.put_into(documents)


def install(app: Flask) -> None:
    """Let an application keep field mappings."""
    app.extensions[KEPT] = KeptLines()

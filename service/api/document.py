"""The OpenAPI document as a file: `python -m service.api.document` writes it, `--check` tells whether it is so."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import orjson
from flask import Flask

from service import api

FILE = Path(__file__).parents[2] / "openapi" / "accord.json"


def document() -> dict[str, Any]:
    """The document of the API as the code has it now."""
    spec: dict[str, Any] = api.install(Flask("accord", static_folder=None), "").spec.to_dict()
    return spec


def text() -> bytes:
    """The same, written so that two versions can be compared line by line."""
    return orjson.dumps(document(), option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)


def main(arguments: list[str]) -> int:
    """Write the file, or compare it."""
    if arguments == ["--check"]:
        same = FILE.exists() and FILE.read_bytes() == text()
        if not same:
            sys.stderr.write(f"{FILE.name} is not what the code says; run scripts/openapi\n")
        return 0 if same else 1
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_bytes(text())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

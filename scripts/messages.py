"""Collects every text that people read, and brings the catalogues of all languages up to date with them."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

from babel.messages import Catalog, Message
from babel.messages.pofile import read_po, write_po
from jinja2 import Environment, nodes

from service import shell
from service.cli import main as command
from service.wording.catalogues import catalogue_path
from service.wording.english import ENGLISH
from service.wording.languages import DEFAULT, LANGUAGES
from service.wording.terms import TERMS
from service.wording.words import Counted

SERVICE = Path(shell.__file__).parent
CALLS = {
    "tell": 1,
    "tell_count": 2,
    "DatabaseRefused": 1,
    "QueueUnavailable": 1,
    "StillWorking": 1,
    "TracingUnavailable": 1,
    "Wrong": 1,
}
"""What is called with a text, and how many of its first arguments are forms of it."""
_PYTHON = ("cli/*.py", "operations/upgrading.py", "settings/*.py", "store/database.py", "telemetry.py", "worker/*.py")
_WIDTH = 116


def template() -> Catalog:
    """Every English text, with where it comes from."""
    catalogue = Catalog(domain="accord", project="Accord", creation_date=datetime(2026, 1, 1, tzinfo=UTC), fuzzy=False)
    catalogue.add("(unknown)")
    for code, words in ENGLISH.items():
        for text in filter(None, (words.title, words.message, words.advice)):
            catalogue.add((text.one, text.many) if isinstance(text, Counted) else str(text), auto_comments=[code])
    for group, terms in TERMS.items():
        for text in terms.values():
            catalogue.add(text, context=group)
    for text in shell.help_texts(command):
        catalogue.add(text, auto_comments=["accord --help"])
    for where, found in chain(_extracted(), _in_templates()):
        catalogue.add(found, auto_comments=[where])
    return catalogue


def _extracted() -> Iterator[tuple[str, Any]]:
    """Texts where they are said. By the syntax tree, since those inside f-strings count too."""
    for file in chain.from_iterable(sorted(SERVICE.glob(pattern)) for pattern in _PYTHON):
        name = file.relative_to(SERVICE).as_posix()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALLS:
                forms = [form.value for form in node.args[: CALLS[node.func.id]] if isinstance(form, ast.Constant)]
                if len(forms) == CALLS[node.func.id]:
                    yield name, tuple(forms) if len(forms) > 1 else forms[0]


def _in_templates() -> Iterator[tuple[str, Any]]:
    """Texts of the console's pages."""
    environment = Environment(autoescape=True)
    for file in sorted((SERVICE / "console" / "templates").rglob("*.html")):
        for call in environment.parse(file.read_text(encoding="utf-8")).find_all(nodes.Call):
            count = {"t": 1, "n": 2}.get(call.node.name, 0) if isinstance(call.node, nodes.Name) else 0
            forms = [form.value for form in call.args[:count] if isinstance(form, nodes.Const)]
            if count and len(forms) == count:
                yield f"console/{file.name}", tuple(forms) if count > 1 else forms[0]


def updated(language: str) -> Catalog:
    """The catalogue of a language with every text there is now, and without those that are gone."""
    path, wanted = catalogue_path(language), template()
    with path.open("rb") as file:
        catalogue = read_po(file, locale=language)
    catalogue.update(wanted, no_fuzzy_matching=True)
    catalogue.obsolete.clear()
    return catalogue


def untranslated(catalogue: Catalog) -> Iterable[Message]:
    """What a catalogue has no text for, in one of its forms."""
    for message in catalogue:
        told = message.string if isinstance(message.string, tuple) else (message.string,)
        if message.id and not all(told):
            yield message


def main() -> int:
    waiting = 0
    for language in LANGUAGES:
        if language == DEFAULT:
            continue
        catalogue = updated(language)
        with catalogue_path(language).open("wb") as file:
            write_po(file, catalogue, width=_WIDTH, omit_header=False, sort_output=False)
        for message in untranslated(catalogue):
            waiting += 1
            print(f"{language}: {message.id}", file=sys.stderr)
    print(f"{waiting} texts wait to be translated")
    return 1 if waiting else 0


if __name__ == "__main__":
    sys.exit(main())

"""The catalogues under `service/locale`: English texts and what they are in another language.

They are gettext catalogues (`.po`), read as they are when a language is first asked for: a fresh clone, an installed
wheel and an image have the same files, and there is nothing to compile or to forget.
"""

from __future__ import annotations

from functools import cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

LOCALE = Path(__file__).parents[1] / "locale"
DOMAIN = "accord"


def catalogue_path(language: str) -> Path:
    """Where the catalogue of a language is, there or not."""
    return LOCALE / language / "LC_MESSAGES" / f"{DOMAIN}.po"


@cache
def translations(language: str) -> NullTranslations:
    """What gives the texts of a language; English, and whatever a catalogue lacks, is given back as it is."""
    path = catalogue_path(language)
    if not path.exists():
        return NullTranslations()
    with path.open("rb") as file:
        catalogue = read_po(file, locale=language)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return GNUTranslations(compiled)

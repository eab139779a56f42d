"""The names by which a modified-on stamp is recognized where the application does not say which field it is."""

from __future__ import annotations

from collections.abc import Iterable

MODIFIED_ON = (
    "modifiedon", "modifiedat", "lastmodified", "lastmodifiedon", "lastmodifiedat", "lastmodifieddatetime",
    "systemmodifiedat", "systemmodstamp", "updatedat", "updatedon", "lastupdated", "lastupdatedat", "lastupdate",
    "writedate", "modificationdate", "modifieddate", "datemodified", "updatedate", "dateupdated", "changedat",
    "changedon", "changedate", "lastchanged", "lastchangedatetime", "lastchangedate", "modified", "updated", "mtime",
)  # fmt: skip
"""Best first; compared in lower case, without underscores and other signs."""


def modified_on_among(names: Iterable[str]) -> str | None:
    """The name that is the modified-on stamp's, by its looks."""
    by_name = {"".join(letter for letter in name.lower() if letter.isalnum()): name for name in names}
    return next((by_name[name] for name in MODIFIED_ON if name in by_name), None)

"""Annotations of metadata, XML or JSON, by the last part of their term."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

ALTERNATE_KEYS = "AlternateKeys"
"""The term for alternate keys, in the vocabulary of the standard and in that of the community before it."""


def xml_terms(item: ElementTree.Element) -> dict[str, Any]:
    """Annotations inside an element, by the last part of their term. One without a value is true; one that is a record
    is what its properties say, as far as they are truth values."""
    terms: dict[str, Any] = {}
    for one in _all(item, "Annotation"):
        text = one.get("String")
        value: Any = text if text is not None else one.get("Bool", "true") == "true"
        enum = one.get("EnumMember") or next((member.text for member in _all(one, "EnumMember")), None)
        record = next(iter(_all(one, "Record")), None)
        if record is not None:
            value = {
                line.get("Property", ""): line.get("Bool") == "true"
                for line in _all(record, "PropertyValue")
                if line.get("Bool") is not None
            }
        name = one.get("Term", "").rpartition(".")[2]
        terms[name] = _xml_keys(one) if name == ALTERNATE_KEYS else enum or value
    return terms


def json_terms(item: Mapping[str, Any], of: str = "") -> dict[str, Any]:
    """Annotations of an object, or of one of its members."""
    terms = {name.rpartition(".")[2]: value for name, value in item.items() if name.startswith(f"{of}@")}
    return {name: _json_keys(value) if name == ALTERNATE_KEYS else value for name, value in terms.items()}


def _xml_keys(annotation: ElementTree.Element) -> tuple[tuple[str, ...], ...]:
    """The keys in an annotation of an XML document: a collection of records, each with a collection of references."""
    return _plain(
        [
            {line.get("Property", ""): _said(line) for line in reference}
            for reference in key.iter()
            if _tag(reference) == "Record" and any(line.get("Property") == "Name" for line in reference)
        ]
        for collection in annotation
        for key in collection
    )


def _said(line: ElementTree.Element) -> str | None:
    return line.get("PropertyPath") or line.get("String") or next((one.text for one in line), None)


def _json_keys(value: Any) -> tuple[tuple[str, ...], ...]:
    """The keys in an annotation of a JSON document."""
    keys = [one.get("Key") for one in value if isinstance(one, dict)] if isinstance(value, list) else []
    return _plain([part for part in key if isinstance(part, dict)] for key in keys if isinstance(key, list))


def _plain(keys: Iterable[Sequence[Mapping[str, Any]]]) -> tuple[tuple[str, ...], ...]:
    """Keys of plain properties: one whose alias in addresses is another word than its name is left out."""
    found = [[(part.get("Name"), part.get("Alias") or part.get("Name")) for part in key] for key in keys]
    return tuple(
        tuple(str(name) for name, _ in key)
        for key in found
        if key and all(isinstance(name, str) and name == alias and "/" not in name for name, alias in key)
    )


def _tag(item: ElementTree.Element) -> str:
    return item.tag.rpartition("}")[2]


def _all(item: ElementTree.Element, tag: str) -> list[ElementTree.Element]:
    return [one for one in item if _tag(one) == tag]

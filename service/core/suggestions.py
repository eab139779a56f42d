"""Which fields of two tables seem to be the same: by their names, by what names mean, by types, and by values.

The same two tables and samples always give the same proposals, in the same order. Every proposed pair can be mapped in
the direction that is proposed; whether it should be is for a person to say.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import Any

from service.core.compare import convertible
from service.core.records import Direction, Field, FieldType, Scalar, Table
from service.core.transforms.values import as_text

Sample = Mapping[str, Sequence[Scalar]]
"""Some values of each field, those of one record at the same place in each."""

LEAST = 0.5
"""Pairs with a lower score are not proposed."""

_MEANINGS: Mapping[str, str] = {
    "number": "no nr num number code externalid reference accountnumber accountno customernumber customerno "
    "customercode vendornumber vendorno suppliernumber itemnumber itemno productnumber productcode sku partnumber",
    "name": "name displayname fullname companyname customername accountname title label",
    "firstname": "firstname givenname forename",
    "lastname": "lastname surname familyname",
    "phone": "phone phoneno phonenumber telephone telephoneno telephonenumber tel businessphone mainphone",
    "mobile": "mobile mobilephone mobilephoneno cell cellphone mobileno",
    "fax": "fax faxno faxnumber telefax",
    "email": "email mail emailaddress emailaddr mailaddress",
    "website": "website homepage websiteurl web url webpage internet",
    "street": "street address addressline streetaddress addressstreet addresslineone",
    "street2": "street2 address2 addressline2 streetaddress2 addresslinetwo address1line2 building",
    "postcode": "postcode postalcode zip zipcode plz postno addresspostalcode",
    "city": "city town locality place addresscity",
    "state": "state county province stateorprovince region addressstateorprovince subdivision",
    "country": "country countrycode countryregioncode countryregion countryiso addresscountry",
    "currency": "currency currencycode isocurrencycode transactioncurrency currencyid transactioncurrencyid",
    "creditlimit": "creditlimit creditlimitlcy credit creditlimitamount",
    "vat": "vat vatno vatnumber vatid vatregistrationno vatregistrationnumber taxid taxnumber taxregistrationnumber",
    "born": "born birthdate birthday dateofbirth birthdayon",
    "language": "language languagecode lang locale preferredlanguage",
    "contact": "contact contactname primarycontactname contactperson addressprimarycontactname",
    "blocked": "blocked isblocked locked disabled inactive",
    "price": "price unitprice salesprice listprice currentprice",
    "note": "note notes remark remarks comment comments memo description",
    "quantity": "quantity qty amountofunits",
    "paymentterms": "paymentterms paymenttermscode termsofpayment paymenttermsid",
    "shipment": "shipment shipmentmethod shipmentmethodcode freightterms addressfreighttermscode freighttermscode",
}
"""Names of the field for one thing, written together and in small letters; digits at the end are looked at last."""

_MEANING_OF: Mapping[str, str] = {word: meaning for meaning, words in _MEANINGS.items() for word in words.split()}
_TELLING = ("number", "email", "vat")
"""What tells records apart, best first."""

_SAME_NAME, _SAME_MEANING, _SIMILAR = 1.0, 0.85, 0.7
_LEAST_ALIKE = 0.75
_FEWEST_VALUES = 4
"""A yes or no and other small sets of values are shared by fields that have nothing in common."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Two fields that seem to be the same. `score`: from 0 to 1. `reason` is a code of `wording` with `params`."""

    local_field: str
    integration_field: str
    direction: Direction
    score: float
    reason: str
    params: Mapping[str, Any]
    match_key: int | None = None
    value_map: Mapping[str, Scalar] | None = None
    """For two fields with options that have the same labels and other values: the values of the integration field by
    those of the local one."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """The proposed pairs, best first, and the fields of each table that have no partner."""

    suggestions: tuple[Suggestion, ...]
    unmatched_local: tuple[Field, ...]
    unmatched_integration: tuple[Field, ...]


def propose(local: Table, integration: Table, local_sample: Sample, integration_sample: Sample) -> Proposal:
    """The pairs that seem to be the same, each field in one of them at most."""
    candidates = sorted(
        _candidates(local, integration, local_sample, integration_sample),
        key=lambda one: (-one.score, one.local_field, one.integration_field),
    )
    taken: tuple[set[str], set[str]] = (set(), set())
    chosen: list[Suggestion] = []
    for one in candidates:
        if one.local_field not in taken[0] and one.integration_field not in taken[1]:
            chosen.append(one)
            taken[0].add(one.local_field)
            taken[1].add(one.integration_field)
    keyed = _with_match_key(chosen, local_sample, integration_sample)
    return Proposal(tuple(keyed), _left(local, taken[0]), _left(integration, taken[1]))


def _left(table: Table, taken: set[str]) -> tuple[Field, ...]:
    return tuple(field for name, field in table.fields.items() if name not in taken and _may_be_mapped(table, field))


def _may_be_mapped(table: Table, field: Field) -> bool:
    """Stamps are Accord's own business, and keys that an application makes mean nothing elsewhere."""
    made = field.name == table.key and (table.generates_keys or field.type is not FieldType.STRING)
    return field.name != table.modified_on and not made


def _candidates(
    local: Table, integration: Table, local_sample: Sample, integration_sample: Sample
) -> Iterator[Suggestion]:
    theirs = [(field, _words(integration, name)) for name, field in integration.fields.items()]
    for name, field in local.fields.items():
        if not _may_be_mapped(local, field):
            continue
        words = _words(local, name)
        for other, other_words in theirs:
            direction = _direction(field, other) if _may_be_mapped(integration, other) else None
            if direction is None:
                continue
            shared = _shared(local_sample.get(name, ()), integration_sample.get(other.name, ()))
            found = _scored(field, other, direction, _alike(words, other_words), shared)
            if found.score >= LEAST:
                yield found


def _direction(local: Field, integration: Field) -> Direction | None:
    """The widest direction in which the mapping's rules let values flow; None where they let none."""
    out = convertible(local.type, integration.type) and not integration.read_only
    back = convertible(integration.type, local.type) and not local.read_only
    if out and back:
        return Direction.BIDIRECTIONAL
    return Direction.TO_INTEGRATION if out else Direction.FROM_INTEGRATION if back else None


def _scored(
    local: Field, integration: Field, direction: Direction, alike: tuple[float, str], shared: float
) -> Suggestion:
    """The score of a pair: what the names say, raised by shared values, lowered where the types are not the same."""
    by_name, reason = alike
    score = 1 - (1 - by_name) * (1 - 0.85 * shared)
    if by_name < LEAST <= score:
        reason = "same_values"
    if local.type is not integration.type:
        score *= 0.85
    if local.length and integration.length and local.length != integration.length:
        score *= 0.99
    options = _options_alike(local, integration)
    if options is not None:
        score = 1 - (1 - score) * (1 - 0.85 * options) if options else score * 0.6
        reason = "same_options" if by_name < LEAST <= score else reason
    params = {"local": local.name, "integration": integration.name, "percent": round(shared * 100)}
    values = _value_map(local, integration)
    return Suggestion(
        local.name, integration.name, direction, round(score, 3), reason, params, value_map=values or None
    )


def _labels(field: Field) -> dict[str, Scalar]:
    """The values of options by what people read, in plain letters."""
    return {"".join(_parts(one.label)) or one.label: one.value for one in field.options}


def _options_alike(local: Field, integration: Field) -> float | None:
    """Which part of the options of the one field are those of the other, by label or by value; None where one has
    none."""
    if not local.options or not integration.options:
        return None
    labels = (_labels(local).keys(), _labels(integration).keys())
    values = [_plain([one.value for one in field.options]) for field in (local, integration)]
    fewest = min(len(local.options), len(integration.options))
    return max(len(labels[0] & labels[1]), len(values[0] & values[1])) / fewest


def _value_map(local: Field, integration: Field) -> dict[str, Scalar]:
    """The options of two fields with the same labels, where their values are others; empty where none is needed, or
    where it would leave one out."""
    ours, theirs = _labels(local), _labels(integration)
    if not ours or ours.keys() != theirs.keys() or len(ours) < len(local.options) or ours == theirs:
        return {}
    return {as_text(value): theirs[label] for label, value in ours.items()}


# Names


@dataclass(frozen=True, slots=True)
class _Words:
    """A field's name, written together; and what it means, None where nobody knows."""

    together: str
    meaning: str | None


def _words(table: Table, name: str) -> _Words:
    """A name in small letters, without accents and signs and without the name of its table."""
    parts = _parts(name)
    for own in (_parts(table.name), _parts(table.caption)):
        if len(parts) > len(own) and parts[: len(own)] == own and "".join(parts[len(own) :]) in _MEANING_OF:
            parts = parts[len(own) :]
    whole = "".join(parts)
    bare = re.sub(r"\d+", "", whole)
    return _Words(whole, _MEANING_OF.get(whole) or (None if re.search(r"[2-9]$", whole) else _MEANING_OF.get(bare)))


def _parts(name: str) -> list[str]:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    split = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", plain)
    return re.findall(r"[a-z0-9]+", split.lower())


def _alike(one: _Words, other: _Words) -> tuple[float, str]:
    """How alike two names are, and why."""
    if one.together == other.together:
        return _SAME_NAME, "same_name"
    if one.meaning is not None and one.meaning == other.meaning:
        return _SAME_MEANING, "same_meaning"
    if one.meaning is not None and other.meaning is not None:
        return 0.0, "similar_name"  # Two things that are known, and are not the same.
    ratio = SequenceMatcher(None, one.together, other.together, autojunk=False).ratio()
    return (_SIMILAR * ratio if ratio >= _LEAST_ALIKE else 0.0), "similar_name"


# Values


def _shared(one: Sequence[Scalar], other: Sequence[Scalar]) -> float:
    """Which part of the smaller set of values is in the larger one too."""
    sets = (_plain(one), _plain(other))
    fewest = min(map(len, sets))
    return len(sets[0] & sets[1]) / fewest if fewest >= _FEWEST_VALUES else 0.0


def _plain(values: Sequence[Scalar]) -> set[str]:
    return {str(value).strip().casefold() for value in values if value not in (None, "")}


def _with_match_key(chosen: Sequence[Suggestion], local: Sample, integration: Sample) -> list[Suggestion]:
    """The same, the pair that tells best which records are the same with `match_key` 1."""
    fitting = [
        (rank, index)
        for index, one in enumerate(chosen)
        if (rank := _telling(one)) is not None
        and _tells_apart(local.get(one.local_field, ()))
        and _tells_apart(integration.get(one.integration_field, ()))
    ]
    best = min(fitting)[1] if fitting else None
    return [one if index != best else replace(one, match_key=1) for index, one in enumerate(chosen)]


def _telling(one: Suggestion) -> int | None:
    """The rank of what a pair says about a record, None where it tells nothing apart."""
    meanings = {_MEANING_OF.get("".join(_parts(name))) for name in (one.local_field, one.integration_field)}
    meanings |= {_MEANING_OF.get(re.sub(r"\d+", "", "".join(_parts(name)))) for name in (one.integration_field,)}
    return next((rank for rank, meaning in enumerate(_TELLING) if meaning in meanings), None)


def _tells_apart(values: Sequence[Scalar]) -> bool:
    """Whether no value is there twice, and few records have none; what has no values yet may do."""
    given = [value for value in values if value not in (None, "")]
    return len(set(given)) == len(given) and len(given) * 10 >= len(values) * 9

"""What the names of fields say: that two are the same, mean the same thing, or are merely alike."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher

from service.core.records import Table

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

MEANING_OF: Mapping[str, str] = {word: meaning for meaning, words in _MEANINGS.items() for word in words.split()}
_SAME_NAME, _SAME_MEANING, _SIMILAR = 1.0, 0.85, 0.7
_LEAST_ALIKE = 0.75


@dataclass(frozen=True, slots=True)
class Naming:
    """A field's name, written together; and what it means, None where nobody knows."""

    together: str
    meaning: str | None


def naming(table: Table, name: str) -> Naming:
    """A name in small letters, without accents and signs and without the name of its table."""
    parts = parts_of_name(name)
    for own in (parts_of_name(table.name), parts_of_name(table.caption)):
        if len(parts) > len(own) and parts[: len(own)] == own and "".join(parts[len(own) :]) in MEANING_OF:
            parts = parts[len(own) :]
    whole = "".join(parts)
    bare = re.sub(r"\d+", "", whole)
    return Naming(whole, MEANING_OF.get(whole) or (None if re.search(r"[2-9]$", whole) else MEANING_OF.get(bare)))


def parts_of_name(name: str) -> list[str]:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    split = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", plain)
    return re.findall(r"[a-z0-9]+", split.lower())


def alike(one: Naming, other: Naming) -> tuple[float, str]:
    """How alike two names are, and why."""
    if one.together == other.together:
        return _SAME_NAME, "same_name"
    if one.meaning is not None and one.meaning == other.meaning:
        return _SAME_MEANING, "same_meaning"
    if one.meaning is not None and other.meaning is not None:
        return 0.0, "similar_name"  # Two things that are known, and are not the same.
    ratio = SequenceMatcher(None, one.together, other.together, autojunk=False).ratio()
    return (_SIMILAR * ratio if ratio >= _LEAST_ALIKE else 0.0), "similar_name"

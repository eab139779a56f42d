"""What seems to correspond, by names, meanings, types and values."""

from __future__ import annotations

from dataclasses import replace

from service.core.records import AlternateKey, Field, FieldType, KeyStatus, Option, Table
from service.core.suggestions import Proposal, Sample, propose

TEXT, UUID, WHOLE, MOMENT = FieldType.STRING, FieldType.UUID, FieldType.INTEGER, FieldType.DATETIME


def table(name: str, *fields: Field, key: str = "id", modified_on: str = "modified", generates: bool = True) -> Table:
    declared = {one.name: one for one in (Field(key, UUID), Field(modified_on, MOMENT), *fields)}
    return Table(name, declared, key, modified_on, name, generates)


def pairs(found: Proposal) -> dict[str, str]:
    return {one.local_field: one.integration_field for one in found.suggestions}


CUSTOMER = table(
    "customer",
    *(Field(name, TEXT, length=50) for name in ("No", "Name", "Address", "Address 2", "City", "Post Code")),
    *(Field(name, TEXT) for name in ("Phone No.", "E-Mail", "Home Page", "Country/Region Code", "County", "Fax No.")),
    Field("Gen. Bus. Group", TEXT),
    Field("Credit Limit (LCY)", FieldType.DECIMAL),
    Field("Balance", FieldType.DECIMAL, read_only=True),
    key="systemId",
    modified_on="systemModifiedAt",
)
ACCOUNT = table(
    "account",
    *(Field(name, TEXT) for name in ("accountnumber", "name", "address1_line1", "address1_line2", "address1_city")),
    *(Field(name, TEXT) for name in ("address1_postalcode", "telephone1", "emailaddress1", "websiteurl", "fax")),
    *(Field(name, TEXT) for name in ("address1_country", "address1_stateorprovince", "tickersymbol")),
    Field("creditlimit", FieldType.DECIMAL),
    Field("balance", FieldType.DECIMAL),
    key="accountid",
    modified_on="modifiedon",
)


def test_customers_and_accounts() -> None:
    found = propose(CUSTOMER, ACCOUNT, {}, {})
    assert pairs(found) == {
        "No": "accountnumber",
        "Name": "name",
        "Address": "address1_line1",
        "Address 2": "address1_line2",
        "City": "address1_city",
        "Post Code": "address1_postalcode",
        "Phone No.": "telephone1",
        "E-Mail": "emailaddress1",
        "Home Page": "websiteurl",
        "Country/Region Code": "address1_country",
        "County": "address1_stateorprovince",
        "Fax No.": "fax",
        "Credit Limit (LCY)": "creditlimit",
        "Balance": "balance",
    }
    assert {one.local_field: one.direction for one in found.suggestions}["Balance"] == "toIntegration"
    assert [one.local_field for one in found.suggestions if one.match_key] == ["No"]
    assert [field.name for field in found.unmatched_local] == ["Gen. Bus. Group"]
    assert [field.name for field in found.unmatched_integration] == ["tickersymbol"]
    assert all(0 < one.score <= 1 for one in found.suggestions)
    assert [one.score for one in found.suggestions] == sorted((one.score for one in found.suggestions), reverse=True)


def test_the_sides_can_be_swapped() -> None:
    there, back = propose(CUSTOMER, ACCOUNT, {}, {}), propose(ACCOUNT, CUSTOMER, {}, {})
    assert pairs(there) == {integration: local for local, integration in pairs(back).items()}
    assert {one.score for one in there.suggestions} == {one.score for one in back.suggestions}


PERSON = table("person", Field("Id No", TEXT), *(Field(name, TEXT) for name in ("given_name", "surname", "email")))
CONTACT = table("contact", *(Field(name, TEXT) for name in ("fullname", "emailaddress1")))


def test_a_name_in_two_fields_is_proposed_as_one() -> None:
    found = propose(PERSON, CONTACT, {}, {})
    assert pairs(found) == {"email": "emailaddress1", "given_name + surname": "fullname"}
    joined = found.suggestions[-1]
    assert (joined.direction, joined.reason) == ("bidirectional", "joined_name")
    assert joined.transforms == {"toIntegration": [{"concat": {"rest": "first"}}]}
    assert [one.name for one in found.unmatched_local] == ["Id No"]
    turned = propose(CONTACT, PERSON, {}, {}).suggestions[-1]
    assert (turned.local_field, turned.integration_field) == ("fullname", "given_name + surname")
    assert turned.transforms == {"fromIntegration": [{"concat": {"rest": "first"}}]}
    assert turned.params == {"local": "fullname", "integration": "given_name + surname"}


def test_a_name_that_cannot_be_written_flows_one_way() -> None:
    """Dataverse computes the full name of a contact."""
    computed = table("contact", Field("fullname", TEXT, read_only=True))
    joined = propose(PERSON, computed, {}, {}).suggestions[-1]
    assert (joined.local_field, joined.direction) == ("given_name + surname", "fromIntegration")
    assert joined.transforms == {"fromIntegration": [{"split": {"rest": "first"}}]}


def test_values_tell_where_names_do_not() -> None:
    one, other = table("a", Field("x1", TEXT), Field("x2", TEXT)), table("b", Field("p", TEXT), Field("q", TEXT))
    names, towns = [f"name {n}" for n in range(9)], [f"town {n}" for n in range(9)]
    mine: Sample = {"x1": names, "x2": towns}
    theirs: Sample = {"p": [*towns[:8], None], "q": [f" {name.upper()} " for name in names]}
    found = propose(one, other, mine, theirs)
    assert pairs(found) == {"x1": "q", "x2": "p"}
    assert {suggestion.reason for suggestion in found.suggestions} == {"same_values"}
    assert pairs(propose(one, other, {}, {})) == {}


def test_few_values_tell_nothing() -> None:
    one, other = table("a", Field("open", FieldType.BOOLEAN)), table("b", Field("paid", FieldType.BOOLEAN))
    values = [True, False, None] * 20
    assert pairs(propose(one, other, {"open": values}, {"paid": values})) == {}


def test_what_cannot_flow_is_not_proposed() -> None:
    one = table("a", Field("name", FieldType.BINARY), Field("city", TEXT, read_only=True), Field("size", TEXT))
    other = table("b", Field("name", FieldType.DATE), Field("city", TEXT, read_only=True), Field("size", WHOLE))
    found = propose(one, other, {}, {})
    assert pairs(found) == {"size": "size"}


def test_a_number_that_is_there_twice_is_no_match_key() -> None:
    one = table("a", Field("number", TEXT), Field("email", TEXT))
    other = table("b", Field("number", TEXT), Field("email", TEXT))
    unique: Sample = {"number": ["1", "2", "3"], "email": ["a@x", "b@x", "c@x"]}
    twice: Sample = {"number": ["1", "2", "2"], "email": ["a@x", "b@x", "c@x"]}
    keys = {one.local_field: one.match_key for one in propose(one, other, unique, unique).suggestions}
    assert keys == {"number": 1, "email": None}
    keys = {one.local_field: one.match_key for one in propose(one, other, twice, unique).suggestions}
    assert keys == {"number": None, "email": 1}


def options(*pairs: tuple[str | int, str]) -> tuple[Option, ...]:
    return tuple(Option(value, label) for value, label in pairs)


def test_options_with_the_same_labels_are_proposed_with_a_map() -> None:
    ours = options(("_x0020_", " "), ("Ship", "Ship"), ("All", "All"))
    theirs = options((0, "(none)"), (1, "ship"), (2, "All"))
    one = table("a", Field("blocked", TEXT, options=ours[1:]), Field("terms", TEXT, options=options(("N30", "Net 30"))))
    other = table("b", Field("hold", WHOLE, options=theirs[1:]), Field("kind", WHOLE, options=options((7, "Gold"))))
    [found] = propose(one, other, {}, {}).suggestions
    assert (found.local_field, found.integration_field, found.reason) == ("blocked", "hold", "same_options")
    assert found.value_map == {"Ship": 1, "All": 2}


def test_options_that_have_nothing_in_common_speak_against_a_pair() -> None:
    one = table("a", Field("status", TEXT, options=options(("open", "Open"), ("won", "Won"))))
    alike = table("b", Field("status", TEXT, options=options(("open", "Open"), ("won", "Won"))))
    other = table("b", Field("state", TEXT, options=options(("x", "Active"), ("y", "Gone"))))
    assert pairs(propose(one, other, {}, {})) == {}
    [found] = propose(one, alike, {}, {}).suggestions
    assert (found.score, found.value_map) == (1.0, None)


def test_what_an_application_keeps_unique_is_the_match_key() -> None:
    """An alternate key that is active goes before a number, whose name alone says that it tells records apart."""
    fields = (Field("number", TEXT), Field("badge", TEXT))
    one = table("customer", *fields)
    for status, expected in ((KeyStatus.ACTIVE, "badge"), (KeyStatus.BUILDING, "number")):
        other = replace(table("account", *fields), alternate_keys=(AlternateKey("k", ("badge",), status),))
        for pair in ((one, other), (other, one)):
            found = propose(*pair, {}, {}).suggestions
            assert [item.local_field for item in found if item.match_key] == [expected]

"""Metadata in XML and in JSON becomes the same tables, values come through unharmed, and refusals are understood."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from service.connectors.base import SettingsRefused
from service.connectors.http import Answer
from service.connectors.odata import BusinessCentralConnector, DataverseConnector, ODataConnector
from service.connectors.odata.alternates import from_metadata
from service.connectors.odata.batch import _read_json, _read_multipart
from service.connectors.odata.failures import Context, Said, failure_of
from service.connectors.odata.metadata import NoMetadata, read_metadata
from service.connectors.odata.tables import entity_set
from service.connectors.odata.values import key_segment, literal, payload, reader
from service.core.failures import SideFailed
from service.core.records import FieldType, KeyStatus

XML = b"""<?xml version="1.0" encoding="utf-8"?>
<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>
<Schema Namespace="Sales.Model" Alias="Self" xmlns="http://docs.oasis-open.org/odata/ns/edm">
  <EnumType Name="Colour"><Member Name="Red" Value="0"/></EnumType>
  <TypeDefinition Name="Code" UnderlyingType="Edm.String"/>
  <EntityType Name="base" Abstract="true"><Key><PropertyRef Name="accountid"/></Key>
    <Property Name="accountid" Type="Edm.Guid" Nullable="false"/></EntityType>
  <EntityType Name="account" BaseType="Self.base">
    <Property Name="name" Type="Edm.String" MaxLength="160" Nullable="false"/>
    <Property Name="code" Type="Self.Code" Nullable="false" DefaultValue="X"/>
    <Property Name="colour" Type="Self.Colour"/>
    <Property Name="total" Type="Edm.Decimal" Precision="19" Scale="4"/>
    <Property Name="visits" Type="Edm.Int16"/>
    <Property Name="tags" Type="Collection(Edm.String)" Nullable="false"/>
    <Property Name="modifiedon" Type="Edm.DateTimeOffset" Precision="0">
      <Annotation Term="Org.OData.Core.V1.Computed"/></Property>
    <Property Name="photo" Type="Edm.Stream"/>
    <Property Name="_parentid_value" Type="Edm.Guid"/>
    <NavigationProperty Name="parentid_account" Type="Self.account">
      <ReferentialConstraint Property="_parentid_value" ReferencedProperty="accountid"/></NavigationProperty>
    <NavigationProperty Name="parentid_contact" Type="Self.contact">
      <ReferentialConstraint Property="_parentid_value" ReferencedProperty="contactid"/></NavigationProperty>
    <NavigationProperty Name="contacts" Type="Collection(Self.contact)"/>
  </EntityType>
  <EntityType Name="contact"><Key><PropertyRef Name="contactid"/></Key>
    <Property Name="contactid" Type="Edm.Guid" Nullable="false"/></EntityType>
  <EntityType Name="pair"><Key><PropertyRef Name="a"/><PropertyRef Name="b"/></Key>
    <Property Name="a" Type="Edm.Int32" Nullable="false"/><Property Name="b" Type="Edm.Int32" Nullable="false"/>
  </EntityType>
  <EntityContainer Name="System">
    <EntitySet Name="accounts" EntityType="Self.account">
      <NavigationPropertyBinding Path="parentid_account" Target="accounts"/>
      <NavigationPropertyBinding Path="parentid_contact" Target="contacts"/></EntitySet>
    <EntitySet Name="contacts" EntityType="Self.contact"/>
    <EntitySet Name="pairs" EntityType="Self.pair"/>
  </EntityContainer>
  <Annotations Target="Self.account/visits"><Annotation Term="Org.OData.Core.V1.Permissions">
    <EnumMember>Org.OData.Core.V1.Permission/Read</EnumMember></Annotation></Annotations>
</Schema></edmx:DataServices></edmx:Edmx>"""

JSON = b"""{"$Version": "4.01", "$EntityContainer": "Sales.Model.System", "Sales.Model": {"$Alias": "Self",
  "Colour": {"$Kind": "EnumType", "Red": 0}, "Code": {"$Kind": "TypeDefinition", "$UnderlyingType": "Edm.String"},
  "base": {"$Kind": "EntityType", "$Abstract": true, "$Key": ["accountid"], "accountid": {"$Type": "Edm.Guid"}},
  "account": {"$Kind": "EntityType", "$BaseType": "Self.base", "name": {"$MaxLength": 160},
    "code": {"$Type": "Self.Code", "$DefaultValue": "X"}, "colour": {"$Type": "Self.Colour", "$Nullable": true},
    "total": {"$Type": "Edm.Decimal", "$Precision": 19, "$Scale": 4, "$Nullable": true},
    "visits": {"$Type": "Edm.Int16", "$Nullable": true, "@Org.OData.Core.V1.Permissions": "Read"},
    "tags": {"$Collection": true},
    "modifiedon": {"$Type": "Edm.DateTimeOffset", "$Precision": 0, "$Nullable": true,
      "@Org.OData.Core.V1.Computed": true},
    "photo": {"$Type": "Edm.Stream", "$Nullable": true}, "_parentid_value": {"$Type": "Edm.Guid", "$Nullable": true},
    "parentid_account": {"$Kind": "NavigationProperty", "$Type": "Self.account",
      "$ReferentialConstraint": {"_parentid_value": "accountid"}},
    "parentid_contact": {"$Kind": "NavigationProperty", "$Type": "Self.contact",
      "$ReferentialConstraint": {"_parentid_value": "contactid"}},
    "contacts": {"$Kind": "NavigationProperty", "$Type": "Self.contact", "$Collection": true}},
  "contact": {"$Kind": "EntityType", "$Key": ["contactid"], "contactid": {"$Type": "Edm.Guid"}},
  "pair": {"$Kind": "EntityType", "$Key": ["a", "b"], "a": {"$Type": "Edm.Int32"}, "b": {"$Type": "Edm.Int32"}},
  "System": {"$Kind": "EntityContainer",
    "accounts": {"$Collection": true, "$Type": "Self.account",
      "$NavigationPropertyBinding": {"parentid_account": "accounts", "parentid_contact": "contacts"}},
    "contacts": {"$Collection": true, "$Type": "Self.contact"}, "pairs": {"$Collection": true, "$Type": "Self.pair"}
  }}}"""


@pytest.mark.parametrize("document", [XML, JSON], ids=["xml", "json"])
def test_tables_of_a_document(document: bytes) -> None:
    schema = read_metadata(document, "application/xml" if document is XML else "application/json")
    found = entity_set(schema, "accounts", lookups=True, generated_guids=True)
    table = found.table
    assert (table.key, table.modified_on, table.generates_keys) == ("accountid", "modifiedon", True)
    assert list(table.fields) == [
        "accountid", "name", "code", "colour", "total", "visits", "tags", "modifiedon", "_parentid_value",
        "parentid_account", "parentid_contact",
    ]  # fmt: skip
    name, code, total = (table.fields[field] for field in ("name", "code", "total"))
    assert (name.type, name.length, name.nullable, name.required) == (FieldType.STRING, 160, False, True)
    assert (code.type, code.required) == (FieldType.STRING, False)
    assert (total.type, total.precision, total.scale) == (FieldType.DECIMAL, 19, 4)
    assert (table.fields["visits"].precision, table.fields["visits"].read_only) == (16, True)
    assert (table.fields["tags"].type, table.fields["tags"].read_only) == (FieldType.JSON, True)
    assert (table.fields["modifiedon"].scale, table.fields["modifiedon"].read_only) == (0, True)
    assert table.fields["colour"].type is FieldType.STRING
    parent = found.property("parentid_contact")
    assert (parent.source, parent.bind, parent.target) == ("_parentid_value", "contacts", "contact")
    plain = entity_set(schema, "accounts", lookups=False, generated_guids=False)
    assert "parentid_account" not in plain.properties
    assert (plain.table.generates_keys, plain.table.fields["accountid"].required) == (False, True)
    pairs = entity_set(schema, "pairs", lookups=True, generated_guids=True)
    assert (pairs.table.key, pairs.table.generates_keys) == ("a,b", True)
    assert (pairs.table.fields["a,b"].read_only, pairs.table.fields["a"].required) == (True, True)
    with pytest.raises(SideFailed):
        entity_set(schema, "nothing", lookups=True, generated_guids=True)


_ALTERNATE = b"""<Schema Namespace="N" Alias="Self" xmlns="http://docs.oasis-open.org/odata/ns/edm">
<EntityType Name="base"><Key><PropertyRef Name="id"/></Key><Property Name="id" Type="Edm.Guid" Nullable="false"/>
  <Property Name="old" Type="Edm.String"/>
  <Annotation Term="OData.Community.Keys.V1.AlternateKeys"><Collection><Record>
    <PropertyValue Property="Key"><Collection><Record><PropertyValue Property="Alias" String="old"/>
    <PropertyValue Property="Name" PropertyPath="old"/></Record>
  </Collection></PropertyValue></Record></Collection></Annotation></EntityType>
<EntityType Name="one" BaseType="Self.base"><Property Name="a" Type="Edm.String"/><Property Name="b" Type="Edm.Int32"/>
  <Property Name="tags" Type="Collection(Edm.String)"/></EntityType>
<Annotations Target="Self.one"><Annotation Term="Org.OData.Core.V1.AlternateKeys"><Collection>
  <Record><PropertyValue Property="Key"><Collection>
    <Record><PropertyValue Property="Name"><PropertyPath>a</PropertyPath></PropertyValue></Record>
    <Record><PropertyValue Property="Name" PropertyPath="b"/></Record></Collection></PropertyValue></Record>
  <Record><PropertyValue Property="Key"><Collection>
    <Record><PropertyValue Property="Alias" String="other"/><PropertyValue Property="Name" PropertyPath="a"/></Record>
  </Collection></PropertyValue></Record>
  <Record><PropertyValue Property="Key"><Collection>
    <Record><PropertyValue Property="Name" PropertyPath="a/inner"/></Record></Collection></PropertyValue></Record>
  <Record><PropertyValue Property="Key"><Collection>
    <Record><PropertyValue Property="Name" PropertyPath="gone"/></Record></Collection></PropertyValue></Record>
</Collection></Annotation></Annotations>
<EntityContainer Name="C"><EntitySet Name="ones" EntityType="Self.one"><Annotation
  Term="Org.OData.Capabilities.V1.UpdateRestrictions"><Record>
  <PropertyValue Property="Upsertable" Bool="true"/></Record></Annotation></EntitySet></EntityContainer></Schema>"""

_ALTERNATE_JSON = {
    "$Version": "4.01",
    "$EntityContainer": "N.C",
    "N": {
        "base": {
            "$Kind": "EntityType",
            "$Key": ["id"],
            "id": {"$Type": "Edm.Guid"},
            "old": {"$Nullable": True},
            "@OData.Community.Keys.V1.AlternateKeys": [{"Key": [{"Name": "old", "Alias": "old"}]}],
        },
        "one": {
            "$Kind": "EntityType",
            "$BaseType": "N.base",
            "a": {"$Nullable": True},
            "b": {"$Type": "Edm.Int32", "$Nullable": True},
            "@Org.OData.Core.V1.AlternateKeys": [
                {"Key": [{"Name": "a"}, {"Name": "b"}]},
                {"Key": [{"Name": "a", "Alias": "other"}]},
                {"Key": "nonsense"},
                {"Key": [{"Name": "gone"}]},
            ],
        },
        "C": {
            "$Kind": "EntityContainer",
            "ones": {
                "$Collection": True,
                "$Type": "N.one",
                "@Org.OData.Capabilities.V1.UpdateRestrictions": {"Upsertable": True},
            },
        },
    },
}


@pytest.mark.parametrize("document", [_ALTERNATE, orjson.dumps(_ALTERNATE_JSON)], ids=["xml", "json"])
def test_alternate_keys_and_upserts_are_annotated(document: bytes) -> None:
    """Those of a type and of what it inherits from; not those by another word, by a path, or of no field."""
    schema = read_metadata(document, "")
    table = entity_set(schema, "ones", lookups=False, generated_guids=False)
    keys = from_metadata(table, schema.alternate_keys("ones"))
    assert {(key.name, key.fields, key.status) for key in keys} == {
        ("old", ("old",), KeyStatus.ACTIVE),
        ("a,b", ("a", "b"), KeyStatus.ACTIVE),
    }
    assert table.upsertable
    assert schema.alternate_keys("nothing") == []


@pytest.mark.parametrize(
    "document",
    [
        b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        b"<html><body>Sign in</body></html>",
        b"<half",
        b"",
        b"{}",
        b'{"half',
    ],
)
def test_what_is_no_metadata(document: bytes) -> None:
    with pytest.raises(NoMetadata):
        read_metadata(document, "application/xml")


@pytest.mark.parametrize(
    ("edm", "said", "canonical", "written", "in_url"),
    [
        ("Edm.String", "O'Neil", "O'Neil", "O'Neil", "'O''Neil'"),
        ("Edm.Guid", "ABCDEF00-0000-4000-8000-00000000000A", "abcdef00-0000-4000-8000-00000000000a", ..., ...),
        ("Edm.Int64", 9007199254740993, 9007199254740993, 9007199254740993, "9007199254740993"),
        ("Edm.Int64", "9007199254740993", 9007199254740993, ..., ...),
        ("Edm.Boolean", True, True, True, "true"),
        ("Edm.Date", "2026-02-28", "2026-02-28", ..., ...),
        ("Edm.DateTimeOffset", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000000Z", "2026-01-02T03:04:05Z", ...),
        ("Edm.DateTimeOffset", "2026-01-02T03:04:05.12+02:00", "2026-01-02T01:04:05.120000Z", ..., ...),
        ("Edm.DateTimeOffset", "2026-01-02T03:04:05.1234567Z", "2026-01-02T03:04:05.123456Z", ..., ...),
        ("Edm.TimeOfDay", "03:04:05", "03:04:05", ..., ...),
        ("Edm.Double", "1.5", 1.5, 1.5, "1.5"),
        ("Edm.Binary", "_-8", "/+8=", "_-8=", "binary'_-8='"),
        ("Sales.Colour", "Red", "Red", "Red", "Sales.Colour'Red'"),
    ],
)
def test_values(edm: str, said: Any, canonical: Any, written: Any, in_url: Any) -> None:
    value = reader(edm)(said) if edm.startswith("Edm.") else said
    assert value == canonical
    assert type(value) is type(canonical)
    if written is not ...:
        assert payload(value, edm) == written
    if in_url is not ...:
        assert literal(value, edm) == in_url


def test_decimals_keep_their_digits() -> None:
    assert reader("Edm.Decimal")("12345678901234567890.1200") == "12345678901234567890.12"
    assert orjson.dumps(payload("12345678901234567890.12", "Edm.Decimal")) == b"12345678901234567890.12"


def test_what_cannot_be_a_key_or_a_number() -> None:
    assert key_segment("N 1/'x'", "Edm.String") == "('N%201%2F''x''')"
    for guid in ("2b1f7e0c-0000-4000-8000-00000000000a", "2B1F7E0C-0000-4000-8000-00000000000A"):
        assert key_segment(guid, "Edm.Guid") == "(2b1f7e0c-0000-4000-8000-00000000000a)"
    for key, edm in (("abc", "Edm.Int32"), ("1.5", "Edm.Int32"), ("9" * 30, "Edm.Int64"), ("abc", "Edm.Guid")):
        with pytest.raises(ValueError):
            key_segment(key, edm)
    with pytest.raises(ValueError):
        payload(300, "Edm.Byte")


@pytest.mark.parametrize(
    ("status", "code", "message", "privilege", "expected", "rule"),
    [
        (
            412,
            "",
            "The version of the existing record doesn't match the RowVersion property.",
            "update",
            "record_moved",
            None,
        ),
        (409, "Request_EntityChanged", "Another user has already changed the record.", "update", "record_moved", None),
        (409, "", "", "update", "record_moved", None),
        (428, "", "If-Match is required", "delete", "record_moved", None),
        (400, "Internal_EntityWithSameKeyExists", "The record exists.", "insert", "value_rejected", "unique"),
        (
            412,
            "0x80060892",
            "A record with the same value for number already exists.",
            "insert",
            "value_rejected",
            "unique",
        ),
        (500, "", "duplicate key value violates unique constraint", "insert", "value_rejected", "unique"),
        (409, "", "", "insert", "value_rejected", None),
        (403, "", "", "update", "permission_denied", None),
        (400, "Authorization_RequestDenied", "No.", "update", "permission_denied", None),
        (404, "0x80040220", "Principal user is missing prvWriteAccount privilege", "update", "permission_denied", None),
        (500, "", "The user does not have the required permission.", "read", "permission_denied", None),
        (405, "", "", "insert", "permission_denied", None),
        (404, "", "Resource not found", "update", "partner_deleted", None),
        (404, "", "account With Id = 1 Does Not Exist", "update", "partner_deleted", None),
        (404, "0x80040217", "contact With Id = 72 Does Not Exist", "update", "value_rejected", "foreign_key"),
        (
            404,
            "0x80060891",
            "A record with the specified key values does not exist in account entity",
            "insert",
            "value_rejected",
            "foreign_key",
        ),
        (404, "", "account With Id = 72 Does Not Exist", "delete", "partner_deleted", None),
        (410, "", "", "delete", "partner_deleted", None),
        (423, "", "", "update", "record_locked", None),
        (500, "", "Generic SQL error: timeout expired", "update", "record_locked", None),
        (500, "", "", "update", "connection_failed", None),
        (400, "", "Could not find a property named 'colour' on type 'x'.", "read", "field_not_found", None),
        (400, "Application_StringExceededLength", "The length of the string is 60.", "update", "value_too_long", None),
        (400, "", "name is required", "update", "value_rejected", "not_null"),
        (400, "Internal_InvalidTableRelation", "Nope", "update", "value_rejected", "foreign_key"),
        (400, "Application_DialogException", "Not on a Sunday", "update", "value_rejected", None),
        (400, "", "Your password has expired", "read", "password_change_required", None),
        (400, "", "The $filter is too complex", "read", "connection_failed", None),
        (429, "", "", "update", "rate_limited", None),
        (503, "", "", "update", "connection_failed", None),
        (401, "", "", "update", "credentials_rejected", None),
    ],
)
def test_refusals(status: int, code: str, message: str, privilege: str, expected: str, rule: str | None) -> None:
    said = Said.of(status, {"error": {"code": code, "message": message}} if code or message else None)
    key = None if privilege in ("insert", "read") else "1"
    failure = failure_of(said, Context("accounts", privilege, ["id", "number", "name"], key, ["secret value"]))
    assert (failure.code, failure.params.get("rule")) == (expected, rule)


def test_a_refusal_quotes_no_value() -> None:
    said = Said.of(
        400,
        {"error": {"message": "'secret value' is not good enough. " + "x" * 500, "details": [{"target": "a/name"}]}},
    )
    failure = failure_of(said, Context("accounts", "update", ["name"], "1", ["secret value"]))
    assert failure.params["field"] == "name"
    assert "secret" not in failure.params["detail"]
    assert len(failure.params["detail"]) <= 200


def _answer(body: bytes, kind: str) -> Answer:
    return Answer(200, {"content-type": kind}, body, "")


def test_answers_of_batches() -> None:
    multipart = (
        b"preamble\r\n--b1\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
        b'HTTP/1.1 201 Created\r\nETag: W/"1"\r\nContent-Type: application/json\r\n\r\n'
        + '{"name": "Ærlig", "n": 12345678901234567890.12}'.encode()
        + b"\r\n--b1\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\nContent-Type: application/http\r\n\r\n"
        b"HTTP/1.1 204 No Content\r\n\r\n\r\n--c--\r\n--b1--"
    )
    first, second = _read_multipart(_answer(multipart, "multipart/mixed; boundary=b1"), 3, True)
    assert (first.status, first.headers["etag"], first.body) == (
        201,
        'W/"1"',
        {"name": "Ærlig", "n": "12345678901234567890.12"},
    )
    assert (second.status, second.body) == (204, None)
    body = b'{"responses": [{"id": "1", "status": 400, "body": "{\\"error\\": {}}"}, {"id": "0", "status": 204}]}'
    for exact in (True, False):
        assert [one.status for one in _read_json(_answer(body, "application/json"), 5, exact)] == [204, 400]
    for bad in (b'{"responses": [{"id": "1", "status": 200}]}', b'{"responses": []}', b"[]", b"<html>"):
        for exact in (True, False):
            with pytest.raises(SideFailed):
                _read_json(_answer(bad, "application/json"), 2, exact)
    with pytest.raises(SideFailed):
        _read_multipart(_answer(b"<html>", "text/html"), 2, True)


def test_fractions_in_batches_keep_their_digits_where_that_matters() -> None:
    body = (
        b'{"responses": [{"id": "0", "status": 200, "headers": {"ETag": 7}, "body": {"n": 12345678901234567890.12}}]}'
    )
    for exact, number in ((True, "12345678901234567890.12"), (False, 12345678901234567890.12)):
        [reply] = _read_json(_answer(body, "application/json"), 1, exact)
        assert (reply.body, reply.headers) == ({"n": number}, {"etag": "7"})


def test_one_unreadable_letter_hides_no_other_answer() -> None:
    """Half of a letter of two halves, which the fast reader refuses for the whole batch."""
    body = b'{"responses": [{"id": "0", "status": 200, "body": {"n": "\\ud800"}}, {"id": "1", "status": 204}]}'
    assert [one.status for one in _read_json(_answer(body, "application/json"), 2, False)] == [200, 204]


def refused(kind: type[ODataConnector], settings: dict[str, Any], credentials: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(SettingsRefused) as raised:
        kind(settings, credentials)
    return [(name, code) for name, code, _ in raised.value.problems]


def test_all_problems_of_settings_are_named_together() -> None:
    settings = {"url": "ftp://x", "auth": "basic", "batchSize": 0, "overlapSeconds": -1, "colour": 1, "batch": "x"}
    assert sorted(refused(ODataConnector, settings, {"token": "t"})) == [
        ("batch", "not_a_choice"),
        ("batchSize", "number_out_of_range"),
        ("colour", "unknown_setting"),
        ("overlapSeconds", "not_a_duration"),
        ("password", "credential_required"),
        ("token", "unknown_credential"),
        ("url", "not_a_web_address"),
        ("username", "credential_required"),
    ]
    for url in ("http://u:p@x/", "https://x/?a=b", "https://x/#f", "https:///x", "x", "http://["):
        assert refused(ODataConnector, {"url": url}, {}) == [("url", "not_a_web_address")]
    assert refused(ODataConnector, {"url": "https://x/", "auth": "bearer"}, {"token": "a\nb"}) == [
        ("token", "not_a_text")
    ]
    assert refused(BusinessCentralConnector, {"url": "https://x/"}, {}) == [("company", "setting_required")]
    secret = {"clientId": "i", "clientSecret": "s"}
    assert refused(ODataConnector, {"url": "https://x/", "auth": "clientCredentials"}, secret) == [
        ("tokenUrl", "setting_required")
    ]
    assert refused(DataverseConnector, {"url": "https://x/", "auth": "clientCredentials"}, secret) == [
        ("tenant", "setting_required")
    ]


def test_tokens_and_links_of_microsofts_services() -> None:
    secret = {"clientId": "i", "clientSecret": "s"}
    cloud = {"auth": "clientCredentials", "tenant": "contoso.com"}
    sales = DataverseConnector({"url": "https://contoso.crm4.dynamics.com", **cloud}, secret)
    assert sales._settings.url == "https://contoso.crm4.dynamics.com/api/data/v9.2/"
    assert sales._settings.auth.identity.split("\0") == [
        "https://login.microsoftonline.com/contoso.com",
        "i",
        "s",
        "https://contoso.crm4.dynamics.com/.default",
    ]
    key = "00000000-0000-4000-8000-000000000001"
    assert sales.link("opportunities", key) == (
        f"https://contoso.crm4.dynamics.com/main.aspx?pagetype=entityrecord&etn=opportunity&id={key}"
    )
    url = "https://api.businesscentral.dynamics.com/v2.0/contoso.com/production/api/v2.0"
    erp = BusinessCentralConnector({"url": url, "company": "CRONUS & Co", **cloud}, secret)
    assert erp._settings.auth.identity.endswith("https://api.businesscentral.dynamics.com/.default")
    client = "https://businesscentral.dynamics.com/contoso.com/production?company=CRONUS%20%26%20Co&page"
    assert erp.link("customers", key) == f"{client}=21&filter=%27SystemId%27%20IS%20%27{key}%27"
    assert erp.link("contacts", "CT 1") == f"{client}=5050&filter=%27No.%27%20IS%20%27CT%201%27"
    assert erp.link("salespeoplePurchasers", "JR") == f"{client}=5116&filter=%27Code%27%20IS%20%27JR%27"
    assert erp.link("customerPaymentJournals", key) is None
    by_id = BusinessCentralConnector({"url": url, "company": key, **cloud}, secret)
    assert str(by_id.link("items", key)).startswith(
        "https://businesscentral.dynamics.com/contoso.com/production?page=30"
    )
    logical = {
        "accounts": "account",
        "contacts": "contact",
        "transactioncurrencies": "transactioncurrency",
        "systemusers": "systemuser",
        "products": "product",
    }
    for table, name in logical.items():
        assert f"&etn={name}&" in str(sales.link(table, key))
    assert sales.link("accounts.paymenttermscode", "1") is None
    linked = ODataConnector({"url": "https://x/", "linkTemplate": "https://x/{table}/{key}"}, {})
    assert linked.link("a b", "1/2") == "https://x/a%20b/1%2F2"

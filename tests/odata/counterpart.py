"""An OData service in the shape of Dataverse, of Business Central or of neither, on odatapy, in its own environment.

    python counterpart.py '{"shape": "dataverse", "tables": {...}, "users": {...}}'

It prints its port, and ends when its standard input does. odatapy is the service: its URLs, filters, batches, ETags
and errors are not ours. Added here is what a business application has besides: users and rights, a stamp of its own,
unique fields, keys that it makes, and a back door (`POST /_control`) for the people who work in it.
"""

import base64
import json
import re
import ssl
import sys
import threading
import uuid
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from itertools import pairwise
from urllib.parse import quote, unquote

from odatapy.data import Entity, ValueType
from odatapy.edm.annotations import Collection, Constant, ConstantKind, Path, PathKind, PropertyValue, Record
from odatapy.edm.csdl import (
    CsdlAbstractEdmProvider,
    CsdlAnnotation,
    CsdlEntityContainer,
    CsdlEntitySet,
    CsdlEntityType,
    CsdlEnumMember,
    CsdlEnumType,
    CsdlNavigationProperty,
    CsdlNavigationPropertyBinding,
    CsdlProperty,
    CsdlPropertyRef,
    CsdlReferentialConstraint,
    CsdlSchema,
)
from odatapy.errors import ODataApplicationException
from odatapy.http.status import HttpStatusCode
from odatapy.server import OData
from odatapy.server.adapters import ODataWSGIApp
from odatapy.server.inmemory import InMemoryDataStore, InMemoryProcessor
from odatapy.server.processor import CustomETagSupport
from odatapy.server.uri import parser as uri_parser

ROOTS = {"odata": "/service", "dataverse": "/api/data/v9.2", "businessCentral": "/v2.0/tenant/production/api/v2.0"}
COMPANY = "0f1e2d3c-0000-4000-8000-00000000c0de"
OURS, OTHERS = uuid.UUID(int=1), uuid.UUID(int=2)
"""Whoever uses the API, and the people who work in the application."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Model(CsdlAbstractEdmProvider):
    """The tables of the configuration as one schema."""

    def __init__(self, tables, shape):
        self.tables = tables
        vocabulary = "OData.Community.Keys.V1" if shape == "dataverse" else "Org.OData.Core.V1"
        self.term = f"{vocabulary}.AlternateKey"

    def _alternate_keys(self, table):
        """The alternate keys of a table, as services say them."""
        if not table.get("alternates"):
            return []
        keys = [
            Collection(
                [Record(None, [PropertyValue("Name", Path(name, PathKind.PropertyPath))]) for name in one["fields"]]
            )
            for one in table["alternates"]
        ]
        return [
            CsdlAnnotation(
                term=f"{self.term}s", value=Collection([Record(self.term, [PropertyValue("Key", key)]) for key in keys])
            )
        ]

    def get_schemas(self):
        types = [
            CsdlEntityType(
                name=table["type"],
                annotations=self._alternate_keys(table),
                key=[CsdlPropertyRef(name=name) for name in key_names(table)],
                properties=[self._property(*field) for field in table["fields"].items()],
                navigation_properties=[
                    CsdlNavigationProperty(
                        name=name,
                        type=f"Shape.{self.tables[target]['type']}",
                        referential_constraints=[
                            CsdlReferentialConstraint(property=source, referenced_property=self.tables[target]["key"])
                        ],
                    )
                    for name, (source, target) in table.get("lookups", {}).items()
                ],
            )
            for table in self.tables.values()
        ]
        sets = [
            CsdlEntitySet(
                name=name,
                type=f"Shape.{table['type']}",
                navigation_property_bindings=[
                    CsdlNavigationPropertyBinding(path=nav, target=target)
                    for nav, (_, target) in table.get("lookups", {}).items()
                ],
                annotations=self._tracking(table) + self._upserting(table),
            )
            for name, table in self.tables.items()
        ]
        return [
            CsdlSchema(
                namespace="Shape",
                entity_types=types,
                enum_types=[
                    CsdlEnumType(
                        name=facets["type"].removeprefix("Shape."),
                        members=[CsdlEnumMember(name, number) for number, name in enumerate(facets["members"])],
                    )
                    for table in self.tables.values()
                    for facets in table["fields"].values()
                    if "members" in facets
                ],
                entity_container=CsdlEntityContainer("Container", sets),
            )
        ]

    @staticmethod
    def _tracking(table):
        """Whether the changes of a table are tracked, as services say it."""
        if "tracked" not in table:
            return []
        said = PropertyValue("Supported", Constant(ConstantKind.Bool, str(table["tracked"]).lower()))
        return [CsdlAnnotation(term="Org.OData.Capabilities.V1.ChangeTracking", value=Record(None, [said]))]

    @staticmethod
    def _upserting(table):
        """Whether an update of what is not there creates it, as services say it."""
        if "upsertable" not in table:
            return []
        said = PropertyValue("Upsertable", Constant(ConstantKind.Bool, str(table["upsertable"]).lower()))
        return [CsdlAnnotation(term="Org.OData.Capabilities.V1.UpdateRestrictions", value=Record(None, [said]))]

    @staticmethod
    def _property(name, facets):
        computed = [CsdlAnnotation(term="Org.OData.Core.V1.Computed", value=True)] if facets.get("computed") else []
        return CsdlProperty(
            name=name,
            type=facets["type"] if "members" in facets else f"Edm.{facets['type']}",
            nullable=facets.get("nullable", True),
            max_length=facets.get("length"),
            precision=facets.get("precision"),
            scale=facets.get("scale"),
            annotations=computed,
        )


class Store(InMemoryDataStore):
    """A store that finds a record by key, and by each unique field, without looking at all of them."""

    def __init__(self, tables):
        super().__init__()
        self.tables = tables
        self.by_key = {name: {} for name in tables}
        self.companies = {}

    def insert_entity(self, entity_set, entity, index=None):
        super().insert_entity(entity_set, entity, index)
        if entity_set == "customers" and "contactsInformation" in self.tables:
            self.companies[entity.get_value("id")] = self.company_of(entity)
        self.by_key[entity_set][identity(self.tables[entity_set], entity)] = entity

    def company_of(self, customer):
        """Business Central makes a contact, a company, of every new customer."""
        company, described = Entity(), self.tables["contacts"]
        for name, facets in described["fields"].items():
            set_value(company, name, native(facets.get("default"), facets["type"]), facets["type"])
        set_value(company, "id", uuid.uuid4(), "Guid")
        set_value(company, "number", f"CO{len(self.companies):05}", "String")
        set_value(company, "companyNumber", company.get_value("number"), "String")
        set_value(company, described["stamp"], datetime.now(UTC).replace(microsecond=0), "DateTimeOffset")
        self.insert_entity("contacts", company)
        return company.get_value("number")

    def contacts_of(self, customer):
        """What `contactsInformation` says below a customer: the contacts of its company."""
        number, key = self.companies.get(customer), str(customer)
        return [
            {
                "contactId": str(one.get_value("id")),
                "contactNumber": one.get_value("number"),
                "contactType": one.get_value("type"),
                "relatedId": key,
                "relatedType": "Customer",
            }
            for one in self.entities("contacts")
            if one.get_value("companyNumber") == number
        ]

    def remove_entity(self, entity_set, entity):
        self.by_key[entity_set].pop(identity(self.tables[entity_set], entity), None)
        return super().remove_entity(entity_set, entity)


class Processor(InMemoryProcessor):
    """What odatapy's own processor does, and what an application adds to it."""

    def __init__(self, config):
        self.config = config
        self.tables = config["tables"]
        super().__init__(Store(self.tables), page_size=config.get("pageSize"))
        self.version = 0
        self.given = 0
        self.asked = threading.local()

    def change(self, name, entity, values, stamp=None):
        """What people and requests write, with a new stamp and version."""
        table = self.tables[name]
        for field, value in values.items():
            set_value(entity, field, value, table["fields"][field]["type"])
        for field, facets in table["fields"].items():
            if "joined" in facets:
                parts = [str(entity.get_value(part) or "") for part in facets["joined"]]
                set_value(entity, field, " ".join(filter(None, parts)), facets["type"])
            if facets.get("capitals") and entity.get_value(field) is not None:
                set_value(entity, field, entity.get_value(field).upper(), facets["type"])
            if "members" in facets and isinstance(entity.get_value(field), int):
                set_value(entity, field, facets["members"][entity.get_value(field)], facets["type"])
        if table.get("stamp"):
            set_value(entity, table["stamp"], now(self.config) if stamp is None else stamp, "DateTimeOffset")
        self.version += 1
        entity.etag = f'W/"{self.version}"'
        hand = getattr(self.asked, "hand", OTHERS)
        for field in ("_createdby_value", "_modifiedby_value"):
            if field in table["fields"] and (field != "_createdby_value" or entity.get_value(field) is None):
                set_value(entity, field, hand, "Guid")

    def create_entity(self, request, response, uri_info, request_ct, response_ct):
        self.asked.request = request
        super().create_entity(request, response, uri_info, request_ct, response_ct)

    def update_entity(self, request, response, uri_info, request_ct, response_ct):
        """A PATCH without If-Match of what is not there creates it, where the application upserts; no other does."""
        self.asked.request = request
        [part] = uri_info.resource_parts
        name = part.entity_set.name
        if not self.upserts(name) or request.if_match or self.looked_up(part.entity_set, part) is not None:
            super().update_entity(request, response, uri_info, request_ct, response_ct)
            return
        said, self.asked.address = part.key_predicates, self._keys_of(part.entity_set.entity_type, part)
        part.key_predicates, part.typed_keys = [], {}
        try:
            self.create_entity(request, response, uri_info, request_ct, response_ct)
        finally:
            self.asked.address = {}
        if self.config.get("silent"):
            response.set_status(HttpStatusCode.NO_CONTENT)
            response.body = b""
            response.set_header("OData-EntityId", f"{name}({','.join('='.join(pair) for pair in said)})")

    def upserts(self, name):
        return self.config["shape"] == "dataverse" or self.tables[name].get("upsertable", False)

    def looked_up(self, entity_set, part):
        try:
            return self._find_by_key(entity_set, part)
        except ODataApplicationException:
            return None

    def _related(self, owner_set, owner_key, owner, nav):
        source, target = self.tables[owner_set.name].get("lookups", {}).get(nav.name, (None, None))
        if source is None:
            return super()._related(owner_set, owner_key, owner, nav)
        found = self.store.by_key[target].get(owner.get_value(source))
        return [] if found is None else [found]

    def _check_preconditions(self, request, entity_set, entity):
        if self.config["shape"] == "dataverse" and not request.if_match and not request.if_none_match:
            return
        if self.config["shape"] == "dataverse" and entity is not None and (request.if_none_match or "").strip() == "*":
            said = self.config.get("said") or "A record with matching key values already exists."
            raise ODataApplicationException(said, HttpStatusCode.PRECONDITION_FAILED, code="")
        super()._check_preconditions(request, entity_set, entity)

    def read_entity_collection(self, request, response, uri_info, ct):
        self.asked.request = request
        super().read_entity_collection(request, response, uri_info, ct)

    def _assign_keys(self, entity_set, entity):
        table = self.tables[entity_set.name]
        for name, value in getattr(self.asked, "address", {}).items():
            if entity.get_value(name) is None:
                set_value(entity, name, value, table["fields"][name]["type"])
        if isinstance(table["key"], list):
            self.give_parts(entity_set.name, entity)
        elif entity.get_value(table["key"]) is None and table["fields"][table["key"]]["type"] == "Guid":
            set_value(entity, table["key"], uuid.uuid4(), "Guid")
        super()._assign_keys(entity_set, entity)

    def give_parts(self, name, entity):
        """A key of an area and a number, for whoever does not say one: the next one in order."""
        made = len(self.store.by_key[name]) + self.given
        self.given += 1
        area, number = self.tables[name]["key"]
        if entity.get_value(area) is None:
            set_value(entity, area, f"new-{made // 3:04}'(", "String")
        if entity.get_value(number) is None:
            set_value(entity, number, made % 3 + 9 * (made % 2), "Int32")

    def _check_duplicate(self, entity_set, entity):
        if identity(self.tables[entity_set.name], entity) in self.store.by_key[entity_set.name]:
            raise ODataApplicationException("A record with this key already exists.", HttpStatusCode.CONFLICT)
        self._check_rules(entity_set.name, entity, entity)
        bound = self._bound(entity_set.name, entity)
        for field, facets in self.tables[entity_set.name]["fields"].items():
            if entity.get_property(field) is None:
                set_value(entity, field, self.first_value(facets), facets["type"])
        self._bind(entity, bound)
        self.change(entity_set.name, entity, {})

    def first_value(self, facets):
        """What a new record has where nothing is given: a default, or the next number of a series."""
        if "series" not in facets:
            return native(facets.get("default"), facets["type"])
        self.version += 1
        return f"{facets['series']}{self.version:05}"

    def _apply_update(self, entity_type, existing, incoming, *, merge):
        name = next(name for name, table in self.tables.items() if table["type"] == entity_type.name)
        self._check_rules(name, existing, incoming)
        bound = self._bound(name, incoming)
        super()._apply_update(entity_type, existing, incoming, merge=merge)
        self._bind(existing, bound)
        self.change(name, existing, {})

    def _process_deep_insert(self, request, entity_set, entity, owner=None):
        """`_bind` has seen to it."""

    def _bind(self, entity, bound):
        for source, key in bound.items():
            set_value(entity, source, key, "Guid")

    def _bound(self, name, incoming):
        """Lookups that are given as links, as the keys that they lead to."""
        bound = {}
        for nav, (source, target) in self.tables[name].get("lookups", {}).items():
            for link in incoming.navigation_links:
                if link.title == nav:
                    [where] = link.bind_links
                    known = ("systemusers", "teams") if target == "owners" else (target,)
                    if where != "None" and where.strip("/").partition("(")[0] not in known:
                        raise ODataApplicationException(f"{nav} leads to {known}.", HttpStatusCode.BAD_REQUEST)
                    key = None if where == "None" else self.led_to(target, where)
                    if key is not None and not any(key in self.store.by_key.get(one, {}) for one in known):
                        said = f"{self.tables[target]['type']} With Id = {key} Does Not Exist"
                        raise ODataApplicationException(said, HttpStatusCode.NOT_FOUND, code="0x80040217")
                    bound[source] = key
        return bound

    def led_to(self, name, where):
        """The key of the record at an address: its own, or an alternate one."""
        named = re.findall(r"(\w+)='((?:[^']|'')*)'", unquote(where.partition("(")[2]))
        if not named:
            return uuid.UUID(where[-37:-1])
        wanted = {field: text.replace("''", "'") for field, text in named}
        if wanted.keys() not in alternates(self.tables[name]):
            raise ODataApplicationException("The key in the request URI is not valid.", HttpStatusCode.BAD_REQUEST)
        found = self.with_values(name, wanted)
        if found is None:
            said = f"A record with the specified key values does not exist in {self.tables[name]['type']} entity"
            raise ODataApplicationException(said, HttpStatusCode.NOT_FOUND, code="0x80060891")
        return identity(self.tables[name], found)

    def with_values(self, name, wanted):
        entities = self.store.entities(name)
        return next((one for one in entities if all(one.get_value(k) == v for k, v in wanted.items())), None)

    def _check_rules(self, name, existing, incoming):
        for fields in alternates(self.tables[name]):
            values = {field: _after(existing, incoming, field) for field in fields}
            if None not in values.values() and self.with_values(name, values) not in (None, existing):
                raise self._taken(next(iter(fields)), next(iter(values.values())))
        for field in self.tables[name].get("unique", ()):
            value = incoming.get_value(field)
            others = self.store.entities(name) if value is not None else ()
            if any(other is not existing and other.get_value(field) == value for other in others):
                raise self._taken(field, value)

    def _taken(self, field, value):
        """Each kind of application refuses a duplicate in its own way, and quotes the value."""
        if self.config["shape"] == "dataverse":
            said = f"Entity Key violated. A record with the same value for {field} already exists: {value}"
            return ODataApplicationException(said, HttpStatusCode.PRECONDITION_FAILED, code="0x80060892")
        if self.config["shape"] == "businessCentral":
            said = f"The record already exists. Identification fields and values: {field}='{value}'"
            return ODataApplicationException(said, HttpStatusCode.BAD_REQUEST, code="Internal_EntityWithSameKeyExists")
        said = f"UNIQUE constraint failed: {field}={value}"
        return ODataApplicationException(said, HttpStatusCode.INTERNAL_SERVER_ERROR)

    def _bump_etag(self, entity_set, entity, *, create=False):
        """`change` has seen to it."""

    def _find_by_key(self, entity_set, part):
        said = self._keys_of(entity_set.entity_type, part)
        names = key_names(self.tables[entity_set.name])
        if set(said) != set(names):
            found = self.with_values(entity_set.name, said)
            if found is None:
                raise ODataApplicationException("The record does not exist.", HttpStatusCode.NOT_FOUND)
            return found
        key = tuple(said[name] for name in names) if len(names) > 1 else next(iter(said.values()))
        found = self.store.by_key[entity_set.name].get(key)
        if found is None:
            raise ODataApplicationException("The record does not exist.", HttpStatusCode.NOT_FOUND)
        return found

    def _filter_sort(self, entities, uri_info, *, sort=True, entity_type=None, ctx=None):
        """With an index: of a filter for certain values of one property only the records that have them are tried."""
        raw = unquote(self.asked.request.raw_query_path or "")
        if self.config["shape"] == "businessCentral" and _joins_fields(raw.partition("$filter=")[2].partition("&")[0]):
            raise ODataApplicationException(
                "An OR of different fields is not supported.", HttpStatusCode.NOT_IMPLEMENTED
            )
        chain = re.search(r"\$filter=\(+(\w+) eq ", raw)
        if chain and raw.count(f"{chain[1]} eq ") > 1:
            wanted = {text.replace("''", "'") for text in re.findall(chain[1] + r" eq '?((?:[^' )]|'')+)", raw)}
            entities = [one for one in entities if _worth_trying(one.get_value(chain[1]), wanted)]
        return super()._filter_sort(entities, uri_info, sort=sort, entity_type=entity_type, ctx=ctx)


def _joins_fields(condition):
    """Whether an "or" stands between comparisons of different fields, which Business Central refuses."""
    condition = re.sub(r"'(?:[^']|'')*'", "''", condition)
    parts = condition.split(" or ")
    named = [re.findall(r"(\w+) (?:eq|ne|gt|ge|lt|le) |\((\w+),", part) for part in parts]
    named = [[one or other for one, other in found] for found in named]
    return any(left[-1] != right[0] for left, right in pairwise(named) if left and right)


def _worth_trying(value, wanted):
    return value is None or " " in str(value) or str(value) in wanted or not isinstance(value, str | uuid.UUID | int)


class Etags(CustomETagSupport):
    def has_etag(self, entity_set):
        return True


def now(config):
    """The application's clock, in the digits that its stamps have."""
    moment = datetime.now(UTC) + timedelta(seconds=config.get("clockAhead", 0))
    digits = config.get("stampDigits", 6)
    return moment.replace(microsecond=moment.microsecond // 10 ** (6 - digits) * 10 ** (6 - digits))


def set_value(entity, field, value, kind):
    if kind.startswith("Shape."):
        entity.set_property(field, value, ValueType.ENUM, kind)
        return
    entity.set_property(field, value, ValueType.PRIMITIVE, f"Edm.{kind}")


def alternates(table):
    """The alternate keys that can be used by now, each as the set of its fields."""
    return [set(one["fields"]) for one in table.get("alternates", ()) if one.get("status", "Active") == "Active"]


def _after(existing, incoming, field):
    """The value of a field after an update, or of a new record."""
    given = incoming.get_property(field)
    return existing.get_value(field) if given is None else given.value


def takes_alternate_keys(tables):
    """odatapy knows no alternate keys: addresses may have them from now on."""
    known = {f"Shape.{table['type']}": table for table in tables.values()}
    own = uri_parser.Parser._parse_keys

    def parse(parser, predicate, entity_type, aliases):
        name = entity_type.full_qualified_name.fqn
        pairs = [part.partition("=") for part in uri_parser._split_top_level(predicate, ",")]
        named = {field.strip(): text.strip() for field, equals, text in pairs if equals}
        if name not in known or named.keys() not in alternates(known[name]):
            return own(parser, predicate, entity_type, aliases)
        kinds = {field: f"Edm.{known[name]['fields'][field]['type']}" for field in named}
        typed = {field: parser._typed_literal(text, kinds[field], "a key") for field, text in named.items()}
        return list(named.items()), typed

    uri_parser.Parser._parse_keys = parse


def key_names(table):
    return _as_list(table["key"])


def _as_list(key):
    return list(key) if isinstance(key, list | tuple) else [key]


def _quoted(text):
    return "'" + quote(text.replace("'", "''"), safe="'") + "'"


def identity(table, entity):
    """What a record is found by: the value of its key, or those of its parts."""
    values = tuple(entity.get_value(name) for name in key_names(table))
    return values if len(values) > 1 else values[0]


def native_key(key, table):
    """A key of the back door as odatapy keeps it."""
    parts = [
        native(part, table["fields"][name]["type"]) for name, part in zip(key_names(table), _as_list(key), strict=True)
    ]
    return tuple(parts) if len(parts) > 1 else parts[0]


def native(value, kind):
    """A value of the back door as odatapy keeps it."""
    if value is None:
        return None
    if kind == "DateTimeOffset":
        return EPOCH + timedelta(microseconds=value) if isinstance(value, int) else datetime.fromisoformat(value)
    return {"Decimal": Decimal, "Date": date.fromisoformat, "Guid": uuid.UUID}.get(kind, lambda same: same)(value)


class Application:
    """The service and its back door."""

    def __init__(self, config):
        self.config = config
        for table in config["tables"].values():
            for name, facets in table["fields"].items():
                if "members" in facets:
                    facets["type"] = f"Shape.{table['type']}_{name}"
        takes_alternate_keys(config["tables"])
        odata = OData.new_instance()
        metadata = odata.create_service_metadata(Model(config["tables"], config["shape"]))
        handler = odata.create_handler(metadata)
        self.processor = Processor(config)
        self.store = self.processor.store
        for name, table in config["tables"].items():
            [key, *more] = (table["fields"][name] for name in key_names(table))
            if not more and key.get("computed") and key["type"] != "Guid":
                self.store.declare_key_auto_generating(name)
        handler.register(self.processor)
        handler.register(Etags())
        self.root = ROOTS[config["shape"]]
        self.wsgi = ODataWSGIApp(handler, self.root)
        self.requests = []
        self.oldest = 0

    def control(self, order):
        """One of the things that people do."""
        self.processor.asked.hand = OTHERS
        with self.store.lock:
            return getattr(self, "do_" + order.pop("do"))(**order)

    def do_put(self, table, rows):
        described = self.config["tables"][table]
        for key, stamp, values in rows:
            key = native_key(key, described)
            entity = self.store.by_key[table].get(key)
            typed = {name: native(value, described["fields"][name]["type"]) for name, value in values.items()}
            moment = None if stamp is None else EPOCH + timedelta(microseconds=stamp)
            if entity is None:
                entity = Entity()
                for name, facets in described["fields"].items():
                    set_value(entity, name, self.processor.first_value(facets), facets["type"])
                for name, part in zip(key_names(described), key if isinstance(key, tuple) else [key], strict=True):
                    set_value(entity, name, part, described["fields"][name]["type"])
                self.store.insert_entity(table, entity)
            self.processor.change(table, entity, typed, moment)
            self.store.record_change(table, entity, "changed")

    def do_clear(self):
        for name in self.config["tables"]:
            self.store.set_entities(name, [])
            self.store.by_key[name].clear()
        self.store.companies.clear()
        self.store.change_log.clear()
        self.do_expire()

    def do_company(self, customer):
        """The number that a customer has as a contact."""
        return self.store.companies[uuid.UUID(customer)]

    def do_index(self, table, key, status):
        """Dataverse is done with the index of an alternate key, or is not."""
        for one in self.config["tables"][table]["alternates"]:
            if one["name"] == key:
                one["status"] = status

    def do_meddle(self, table):
        """Somebody edits the newest record."""
        self.processor.change(table, self.store.entities(table)[-1], {"city": "meddled"})

    def do_expire(self):
        """Delta links of before are not known any more."""
        self.oldest = int(self.store.change_token)

    def do_remove(self, table, key):
        key = native_key(key, self.config["tables"][table])
        entity = self.store.by_key[table][key]
        parts = [part if isinstance(part, uuid.UUID | int) else _quoted(part) for part in _as_list(key)]
        named = [f"{name}={part}" for name, part in zip(key_names(self.config["tables"][table]), parts, strict=True)]
        entity.id = f"{table}({','.join(named) if len(named) > 1 else parts[0]})"
        self.store.remove_entity(table, entity)
        self.store.record_change(table, entity, "deleted")

    def do_unstamp(self, table, key):
        entity = self.store.by_key[table][native_key(key, self.config["tables"][table])]
        set_value(entity, self.config["tables"][table]["stamp"], None, "DateTimeOffset")

    def do_all(self, table):
        fields = list(self.config["tables"][table]["fields"])
        return [{name: one.get_value(name) for name in fields} for one in self.store.entities(table)]

    def do_requests(self):
        found, self.requests[:] = list(self.requests), []
        return found

    def do_set(self, **changes):
        self.config.update(changes)
        self.processor.page_size = self.config.get("pageSize")

    def user(self, headers):
        """Who asks, None: nobody that is known."""
        if not self.config.get("users"):
            return "anybody"
        kind, _, proof = headers.get("Authorization", "").partition(" ")
        if kind == "Basic":
            name, _, password = base64.b64decode(proof).decode().partition(":")
            return name if self.config["users"].get(name, {}).get("password") == password else None
        return "anybody" if kind == "Bearer" and proof == self.config.get("token") else None

    def special(self, method, path, user):
        """What odatapy has no words for: who somebody is, companies, rights. (status, body) or None."""
        tail = path.removeprefix(self.root + "/")
        rights = self.config.get("users", {}).get(user, {})
        writes = method in ("POST", "PATCH", "PUT", "DELETE") and not tail.startswith("$batch")
        if writes and rights.get("readOnly"):
            return 403, error("0x80040220", "SecLib::AccessCheckEx failed. The user is missing prvWrite privilege.")
        if self.config["shape"] == "businessCentral" and tail.split("?")[0] == "companies":
            return 200, {"value": [{"id": COMPANY, "name": "CRONUS International", "displayName": "CRONUS"}]}
        if "contactsInformation" in tail and self.config["shape"] == "businessCentral":
            expanded = re.search(r"customers\?\$select=id&\$expand=contactsInformation\(", tail)
            if not expanded:  # It tells nothing without a customer to begin with.
                return 400, error("Application_DialogException", "id type not specified.")
            rows = [{"id": str(key)} for key in self.store.by_key["customers"]]
            return 200, {
                "value": [row | {"contactsInformation": self.store.contacts_of(uuid.UUID(row["id"]))} for row in rows]
            }
        if self.config["shape"] == "dataverse":
            if tail.startswith("EntityDefinitions"):
                return 200, {"value": self.definitions(tail)}
            tail = tail.partition("?")[0]
            if tail == "WhoAmI":
                return 200, {"UserId": COMPANY, "BusinessUnitId": COMPANY, "OrganizationId": COMPANY}
            if tail.startswith("systemusers(") and "systemuserroles_association" in tail:
                role = "System Administrator" if rights.get("administrator") else "Accord"
                template = "627090ff-40a3-4053-8790-584edc5be201" if rights.get("administrator") else None
                named = rights.get("roleName", role)
                return 200, {"value": [{"name": named, "_roletemplateid_value": template}]}
            if tail.startswith("systemusers(") and "RetrieveUserPrivileges" in tail:
                verbs = ("Read",) if rights.get("readOnly") else ("Read", "Create", "Write", "Delete")
                types = [table["type"] for table in self.config["tables"].values()]
                names = [f"prv{verb}{type.capitalize()}" for verb in verbs for type in types]
                return 200, {"RolePrivileges": [{"PrivilegeName": name, "Depth": "Global"} for name in names]}
        return None

    def on_option(self, action, asked):
        """Change a choice, as the actions of Dataverse do."""
        if action == "PublishXml":
            return 204, {}
        table = next(one for one in self.config["tables"].values() if one["type"] == asked["EntityLogicalName"])
        options = table["fields"][asked["AttributeLogicalName"]]["options"]
        labels = {str(one["LanguageCode"]): one["Label"] for one in asked.get("Label", {}).get("LocalizedLabels", [])}
        if action == "InsertOptionValue":
            number = max([727_000_000, *map(int, options)]) + 1
            options[str(number)] = labels
            return 200, {"NewOptionValue": number}
        if action == "UpdateOptionValue":
            options[str(asked["Value"])].update(labels)
        else:
            del options[str(asked["Value"])]
        return 204, {}

    def do_options(self, table, field):
        return {
            value: labels["1033"] for value, labels in self.config["tables"][table]["fields"][field]["options"].items()
        }

    def definitions(self, tail):
        """What Dataverse tells of its tables besides $metadata: their names, keys and choices."""
        if "/Keys" in tail:
            name = re.search(r"LogicalName='(\w+)'", tail)[1]
            table = next(table for table in self.config["tables"].values() if table["type"] == name)
            return [
                {
                    "LogicalName": one["name"],
                    "SchemaName": one["name"],
                    "KeyAttributes": [re.sub(r"^_(\w+)_value$", r"\1", field) for field in one["fields"]],
                    "EntityKeyIndexStatus": one.get("status", "Active"),
                    "MetadataId": COMPANY,
                }
                for one in table.get("alternates", ())
            ]
        if "/Attributes" in tail:
            name = re.search(r"LogicalName='(\w+)'", tail)[1]
            table = next(table for table in self.config["tables"].values() if table["type"] == name)
            kind = re.search(r"CRM\.(\w+)AttributeMetadata", tail)
            return [
                {"LogicalName": field, "OptionSet": {"Options": [option_of(*one) for one in facets["options"].items()]}}
                for field, facets in table["fields"].items()
                if "options" in facets and kind and facets.get("choice", "Picklist") == kind[1]
            ]
        return [
            {
                "LogicalName": table["type"],
                "SchemaName": table["type"],
                "EntitySetName": name,
                "PrimaryIdAttribute": table["key"],
                "MetadataId": COMPANY,
            }
            for name, table in self.config["tables"].items()
            if f"'{table['type']}'" in tail
        ]


OPTION_ACTIONS = re.compile(rb"POST \S*/(\w+OptionValue|PublishXml) HTTP/1.1\r\n.*?\r\n\r\n(\{.*?\})\r\n--", re.DOTALL)


def option_actions(application, body):
    """What a batch of actions on choices answers, None where it is another one. Choices are seen once published."""
    parts = OPTION_ACTIONS.findall(body)
    if not parts:
        return None
    answers = []
    for action, text in parts:
        status, answer = application.on_option(action.decode(), json.loads(text))
        said = json.dumps(answer)
        answers.append(
            "--answer\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
            f"HTTP/1.1 {status} .\r\nContent-Type: application/json\r\n\r\n{said}\r\n"
        )
    return "".join(answers).encode() + b"--answer--\r\n"


def option_of(value, labels):
    """One option as Dataverse tells it. `labels` by the number of their language; the user's is English."""
    told = [{"Label": label, "LanguageCode": int(language)} for language, label in labels.items()]
    return {"Value": int(value), "Label": {"LocalizedLabels": told, "UserLocalizedLabel": told[0]}}


def error(code, message):
    return {"error": {"code": code, "message": message}}


def handler_of(application):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def log_message(self, *_):
            pass

        def answer(self, status, body, headers=()):
            data = b"" if status == 204 else body if isinstance(body, bytes) else json.dumps(body, default=str).encode()
            self.send_response(status)
            for name, value in headers or [("Content-Type", "application/json")]:
                if name.lower() not in ("content-length", "date", "server"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            if application.config["shape"] == "dataverse":
                left = str(application.config.get("left", 5999))
                self.send_header("x-ms-ratelimit-burst-remaining-xrm-requests", left)
            self.end_headers()
            self.wfile.write(data)
            self.wfile.flush()

        def handle_all(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.path == "/_control":
                self.answer(200, {"result": application.control(json.loads(body))})
                return
            path, _, query = self.path.partition("?")
            application.requests.append(
                [
                    self.command,
                    unquote(self.path.removeprefix(application.root)),
                    body.count(b"HTTP/1.1") or body.count(b'"method"'),
                ]
            )
            user = application.user(self.headers)
            if user is None:
                self.answer(401, error("Unauthorized", "Who are you?"), [("WWW-Authenticate", "Basic")])
                return
            refuse = application.config.get("refuse")
            if refuse and re.search(refuse["where"], f"{self.command} {path}"):
                self.answer(refuse["status"], error(refuse.get("code", ""), refuse["message"]))
                return
            special = application.special(self.command, unquote(f"{path}?{query}" if query else path), user)
            if special is not None:
                self.answer(*special)
                return
            rights = application.config.get("users", {}).get(user, {})
            if (
                path.endswith("$batch")
                and rights.get("readOnly")
                and re.search(rb'(POST|PATCH|DELETE) |"(POST|PATCH|DELETE)"', body)
            ):
                self.answer(403, error("0x80040220", "The user is missing prvWrite privilege."))
                return
            told = option_actions(application, body) if path.endswith("$batch") else None
            if told is not None:
                self.answer(200, told, [("Content-Type", "multipart/mixed; boundary=answer")])
                return
            if len(body) > (application.config.get("largest") or 10**9):
                self.answer(413, error("", "Too large."))
                return
            if path.endswith("$batch") and not self.takes(self.headers.get("Content-Type", "")):
                self.answer(415, error("", "This kind of batch is not supported."))
                return
            company = f"companies({COMPANY})/"
            path, body = (
                unquote(path, errors="surrogateescape") if company in unquote(path) else path,
                body.replace(company.encode(), b""),
            )
            if self.refuses_to_track(query):
                return
            self.pass_on(path.replace(company, ""), query, body)

        def refuses_to_track(self, query):
            """Whether a link has expired, or changes were asked for in a way that Dataverse does not take."""
            token = re.search(r"(?:%24|\$)deltatoken=([^&]*)", query)
            if token and not (token[1].isdigit() and int(token[1]) >= application.oldest):
                if application.config["shape"] == "dataverse":
                    said = "Version stamp associated with the client has expired. Please perform a full sync."
                    self.answer(400, error("0x80044352", said))
                else:
                    self.answer(410, error("", "The delta link has expired."))
                return True
            tracking = "odata.track-changes" in self.headers.get("Prefer", "")
            if application.config["shape"] == "dataverse" and tracking and re.search(r"\$(filter|orderby|top)", query):
                self.answer(400, error("0x80060888", "The query parameter isn't supported with Change Tracking."))
                return True
            return False

        def takes(self, kind):
            """Whether this service takes batches of a content type."""
            kinds = application.config.get("batches", ["json", "multipart"])
            return any(one in kind for one in kinds)

        def many(self, path, body):
            """CreateMultiple and UpdateMultiple: one transaction, of which nothing stays when one record is refused."""
            place, _, message = path.removeprefix(application.root + "/").partition("/Microsoft.Dynamics.CRM.")
            table = application.config["tables"][place]
            if not table.get("multiple", True):
                self.answer(404, error("0x8006088a", f"Resource not found for the segment '{message}'."))
                return
            requests = []
            for number, target in enumerate(json.loads(body)["Targets"]):
                assert target.pop("@odata.type") == f"Microsoft.Dynamics.CRM.{table['type']}"
                new = message == "CreateMultiple"
                headers = {"Content-Type": "application/json", "Prefer": "return=representation"}
                url = place if new else f"{place}({target.pop(table['key'])})"
                headers |= {} if new else {"If-Match": "*"}
                one = {"id": str(number), "method": "POST" if new else "PATCH", "url": url, "body": target}
                requests.append({**one, "headers": headers, "atomicityGroup": "all"})
            _, _, data = self.asked_of(
                f"{application.root}/$batch", "", json.dumps({"requests": requests}).encode(), "application/json"
            )
            parts = json.loads(data)["responses"]
            bad = next((one for one in parts if one["status"] >= 400 and one["status"] != 424), None)
            if bad is not None:
                self.answer(bad["status"], bad.get("body") or error("", "Refused."))
            elif message == "CreateMultiple":
                self.answer(
                    200, {"Ids": [one["body"][table["key"]] for one in sorted(parts, key=lambda p: int(p["id"]))]}
                )
            else:
                self.answer(204, b"")
            if application.config.get("meddles") and message == "CreateMultiple" and bad is None:
                application.control({"do": "meddle", "table": place})

        def pass_on(self, path, query, body):
            if application.config["shape"] == "dataverse" and path.endswith((".CreateMultiple", ".UpdateMultiple")):
                application.processor.asked.hand = OURS
                self.many(path, body)
                return
            status, headers, data = self.asked_of(path, query, body, self.headers.get("Content-Type", ""))
            self.answer(status, data, headers)

        def asked_of(self, path, query, body, kind):
            """What odatapy says to a request of somebody who uses the API."""
            application.processor.asked.hand = OURS
            environ = {
                "REQUEST_METHOD": self.command if not path.endswith("$batch") else "POST",
                "SCRIPT_NAME": "",
                "PATH_INFO": unquote(path),
                "REQUEST_URI": f"{path}?{query}",
                "RAW_URI": f"{path}?{query}" if query else path,
                "QUERY_STRING": query,
                "CONTENT_LENGTH": str(len(body)),
                "CONTENT_TYPE": kind,
                "SERVER_NAME": "127.0.0.1",
                "SERVER_PORT": str(self.server.server_address[1]),
                "SERVER_PROTOCOL": "HTTP/1.1",
                "wsgi.version": (1, 0),
                "wsgi.url_scheme": "http",
                "wsgi.input": BytesIO(body),
                "wsgi.errors": sys.stderr,
                "wsgi.multithread": True,
                "wsgi.multiprocess": False,
                "wsgi.run_once": False,
            }
            for name, value in self.headers.items():
                if name.lower() not in ("content-length", "content-type", "authorization"):
                    environ["HTTP_" + name.upper().replace("-", "_")] = value
            said = []
            parts = application.wsgi(environ, lambda status, headers, *_: said.extend([int(status[:3]), headers]))
            status, headers = said
            data = b"".join(parts)
            if application.config["shape"] == "dataverse" and b"$deletedEntity" in data:
                data = re.sub(rb'"id": ?"[^"]*\(([0-9a-f-]{36})\)"', rb'"id":"\1"', data)
            if application.config["shape"] == "businessCentral" and self.command in ("PATCH", "DELETE"):
                status = {412: 409}.get(status, status)
            return status, headers, data

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = handle_all  # noqa: N815

    return Handler


def main():
    config = json.loads(sys.argv[1])
    server = ThreadingHTTPServer(("127.0.0.1", config.get("port", 0)), handler_of(Application(config)))
    server.daemon_threads = True
    if config.get("certificate"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(config["certificate"])
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()
    server.shutdown()


if __name__ == "__main__":
    main()

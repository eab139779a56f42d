"""The console's page of a table."""

from __future__ import annotations

import re

from tests.api.world import World
from tests.console.conftest import Person
from tests.odata.sales import dataverse
from tests.odata.servers import counterpart, text


def test_a_table_shows_its_alternate_keys_and_which_are_not_used(empty: World) -> None:
    keys = [
        {"name": "by_number", "fields": ["accountnumber"]},
        {"name": "by_tax", "fields": ["tax", "accountnumber"], "status": "Failed"},
    ]
    accounts = dataverse("account", "accountid", (), None, accountnumber=text(20), tax=text(20))
    with counterpart("dataverse", {"accounts": {**accounts, "alternates": keys}}, stampDigits=0) as service:
        document = {"name": "crm", "kind": "dataverse", "settings": {"url": service.url}}
        id = empty.ask("POST", "/connections", document).json["id"]
        page = Person(empty).look(f"/console/connections/{id}/tables/accounts")
    [told] = re.findall(r"Alternate keys: (.*?)</p>", page)
    assert re.sub(r"<.*?>", "", told) == "accountnumber, tax, accountnumber (failed, not used)"

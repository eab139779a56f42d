"""Microsoft's own Dataverse client at work, in an environment of its own: `python microsoft_client.py URL`.

It does what our connector does to a record's life, and prints as JSON what it was answered; whatever goes wrong ends it
with a traceback. What it trusts is in REQUESTS_CA_BUNDLE.
"""

import json
import sys
from collections import namedtuple

from azure.core.credentials import TokenCredential
from PowerPlatform.Dataverse.client import DataverseClient
from PowerPlatform.Dataverse.models.upsert import UpsertItem

Token = namedtuple("Token", "token expires_on")


class Credential(TokenCredential):
    def get_token(self, *scopes, **_):
        return Token("a-token", 9_999_999_999)


def main():
    said = {}
    with DataverseClient(sys.argv[1], Credential()) as client:
        key = client.records.create("account", {"name": "Ærlig & Co", "accountnumber": "A1", "creditlimit": 12.5})
        columns = ["name", "accountnumber", "creditlimit", "modifiedon"]
        said["created"] = client.records.retrieve("account", key, select=columns).data
        client.records.update("account", key, {"address1_city": "Oslo"})
        said["updated"] = client.records.retrieve("account", key, select=["name", "address1_city"]).data
        for number in range(2, 6):
            client.records.create("account", {"name": f"n{number}", "accountnumber": f"A{number}"})
        pages = client.records.list(
            "account",
            filter="accountnumber ge 'A2'",
            orderby=["accountnumber"],
            top=3,
            select=columns,
        )
        said["listed"] = [record["accountnumber"] for record in pages]
        batch = client.batch.new()
        batch.records.create("account", {"name": "by batch", "accountnumber": "B1"})
        batch.records.update("account", key, {"address1_city": "Bergen"})
        batch.records.create("account", {"name": "a duplicate", "accountnumber": "A2"})
        result = batch.execute(continue_on_error=True)
        said["batch"] = [response.status_code for response in result.responses]
        keys = client.records.create("account", [{"name": f"many {n}", "accountnumber": f"M{n}"} for n in range(3)])
        client.records.update("account", keys, {"address1_city": "Tromsø"})
        many = [client.records.retrieve("account", one, select=["name", "address1_city"]) for one in keys]
        said["many"] = [[one["name"], one["address1_city"]] for one in many]
        item = UpsertItem(alternate_key={"accountnumber": "U1"}, record={"name": "by its number"})
        client.records.upsert("account", [item])
        item = UpsertItem(alternate_key={"accountnumber": "U1"}, record={"address1_city": "Oslo"})
        client.records.upsert("account", [item])
        [one] = client.records.list("account", filter="accountnumber eq 'U1'", select=[*columns, "address1_city"])
        said["upserted"] = [one["name"], one["address1_city"]]
        keys = client.tables.get_alternate_keys("account")
        said["keys"] = [[one.schema_name, one.key_attributes, one.status] for one in keys]
        client.records.delete("account", key)
        said["deleted"] = client.records.retrieve("account", key, select=["name"])
    print(json.dumps(said))


if __name__ == "__main__":
    main()

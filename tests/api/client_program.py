"""A program that uses the client which is generated from the document: `python client_program.py URL TOKEN FOLDER`.

It is type-checked and run with the generated package `client` beside it, in an environment without anything of ours.
"""

from __future__ import annotations

import sys

from client import AuthenticatedClient
from client.api.connections import create_connection, list_connections
from client.api.mappings import create_mapping
from client.api.sync_runs import get_run, start_run
from client.models import (
    Connection,
    ConnectionPage,
    NewConnection,
    NewMapping,
    NewRun,
    Problem,
    Run,
    TableMapping,
)


def main(url: str, token: str, folder: str) -> None:
    client = AuthenticatedClient(base_url=url, token=token, raise_on_unexpected_status=True)
    ids: list[int] = []
    for name in ("erp", "crm"):
        settings = {"name": name, "kind": "sql", "settings": {"url": f"sqlite:///{folder}/{name}.db"}}
        made = create_connection.sync(client=client, body=NewConnection.from_dict(settings))
        assert isinstance(made, Connection), made
        ids.append(made.id)
    side = {"table": "customer", "key": "id", "modifiedOn": "stamp"}
    mapping = create_mapping.sync(
        client=client,
        body=NewMapping.from_dict(
            {
                "name": "customers",
                "local": {**side, "connectionId": ids[0]},
                "integration": {**side, "connectionId": ids[1]},
                "fieldMappings": [{"localField": "name", "integrationField": "name"}],
                "synchOnlyCoupledRecords": False,
            }
        ),
    )
    assert isinstance(mapping, TableMapping), mapping
    started = start_run.sync(client=client, body=NewRun(mapping_id=mapping.id), prefer="wait=20")
    assert started is not None
    assert not isinstance(started, Problem), started
    run = get_run.sync(started.id, client=client)
    assert isinstance(run, Run), run
    assert run.status == "succeeded", run
    assert run.counts.to_integration.inserted == 1
    assert run.finished_at is not None
    listed = list_connections.sync(client=client, limit=1)
    assert isinstance(listed, ConnectionPage)
    assert (listed.items[0].name, listed.next_cursor is not None) == ("crm", True)
    refused = create_connection.sync(client=client, body=NewConnection.from_dict(settings))
    assert isinstance(refused, Problem)
    assert refused.code == "name_taken"
    missing = get_run.sync(999, client=client)
    assert isinstance(missing, Problem)
    assert missing.status == 404
    print(f"run {run.id}: {run.status}")


if __name__ == "__main__":
    main(*sys.argv[1:])

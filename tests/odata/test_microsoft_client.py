"""The counterpart that stands for Dataverse in our tests is one that Microsoft's own client can work with."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.environments import programs
from tests.odata.certificates import certificate
from tests.odata.servers import counterpart
from tests.odata.world import tables

CLIENT = Path(__file__).parent / "microsoft_client.py"


def test_microsofts_client_works_with_the_counterpart(tmp_path: Path) -> None:
    file = certificate(tmp_path)
    config: dict[str, Any] = {"certificate": str(file), "token": "a-token", "stampDigits": 0}
    config["users"] = {"nobody": {"password": "x"}}
    described = tables("dataverse")
    described["accounts"]["type"] = "account"
    described["accounts"]["alternates"] = [
        {"name": "account_number", "fields": ["accountnumber"]},
        {"name": "account_place", "fields": ["address1_city", "name"], "status": "Pending"},
    ]
    with counterpart("dataverse", described, **config) as service:
        program = programs("dataverse-client", "PowerPlatform-Dataverse-Client==1.1.0") / "python"
        done = subprocess.run(
            [program, CLIENT, f"https://127.0.0.1:{service.port}"],
            env={**os.environ, "REQUESTS_CA_BUNDLE": str(file)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(done.stdout)
    created = said["created"]
    assert (created["name"], created["accountnumber"], created["creditlimit"]) == ("Ærlig & Co", "A1", 12.5)
    assert datetime.fromisoformat(created["modifiedon"]).microsecond == 0
    assert (said["updated"]["name"], said["updated"]["address1_city"]) == ("Ærlig & Co", "Oslo")
    assert said["listed"] == ["A2", "A3", "A4"]
    assert said["batch"] == [201, 204, 412]  # Dataverse itself says 204 to the first, for want of a Prefer.
    assert said["many"] == [[f"many {number}", "Tromsø"] for number in range(3)]  # By its bulk messages.
    assert said["upserted"] == ["by its number", "Oslo"]  # Made by an alternate key, and found by it again.
    assert said["keys"] == [
        ["account_number", ["accountnumber"], "Active"],
        ["account_place", ["address1_city", "name"], "Pending"],
    ]
    assert said["deleted"] is None

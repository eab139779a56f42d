"""dlt at the same work, one way, in an environment of its own: prints the costs of W1 and W3 as one JSON document."""

import json
import os
import resource
import sys
import time
from pathlib import Path

import dlt
import sqlalchemy as sa
from dlt.sources.sql_database import sql_table


def measure(step, tree_cpu):
    """What a step costs: CPU seconds of this process and of the server's, wall seconds, megabytes at most."""
    own, others, wall = cpu(), tree_cpu(), time.perf_counter()
    step()
    own, others, wall = cpu() - own, tree_cpu() - others, time.perf_counter() - wall
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"service": own, "database": others, "cpu": own + others, "wall": wall, "memory": peak}


def cpu():
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def tree_cpu_of(first):
    """The seconds of PostgreSQL's processes, as `meters.py` counts them."""
    tick = os.sysconf("SC_CLK_TCK")

    def spent():
        numbers = Path(f"/proc/{first}/task/{first}/children").read_text().split()
        gone = Path(f"/proc/{first}/stat").read_text().rpartition(")")[2].split()[13:15]
        total = sum(map(int, gone)) / tick
        for number in (str(first), *numbers):
            try:
                total += int(Path(f"/proc/{number}/schedstat").read_text().split()[0]) / 1e9
            except OSError:
                continue
        return total

    return spent


def main():
    given = json.loads(sys.argv[1])
    os.environ |= {"RUNTIME__LOG_LEVEL": "ERROR", "RUNTIME__DLTHUB_TELEMETRY": "false"}
    os.environ |= {"NORMALIZE__DATA_WRITER__DISABLE_COMPRESSION": "true"}
    pipeline = dlt.pipeline(
        "bench",
        pipelines_dir=given["folder"],
        destination=dlt.destinations.postgres(given["crm"]),
        dataset_name="copied",
    )

    def carry():
        table = sql_table(
            given["erp"],
            table="customer",
            backend=given["backend"],
            incremental=dlt.sources.incremental("modified_at"),
            chunk_size=10_000,
        )
        table.apply_hints(primary_key="id", write_disposition="merge")
        pipeline.run(table).raise_on_failed_jobs()

    spent = tree_cpu_of(given["server"])
    found = {"W1": measure(carry, spent)}
    engine = sa.create_engine(given["erp"])
    with engine.begin() as people:
        people.exec_driver_sql(given["edit"])
    found["W3"] = measure(carry, spent)
    with sa.create_engine(given["crm"]).connect() as crm, engine.connect() as erp:
        question = "SELECT count(*), count(*) FILTER (WHERE contact LIKE '%% A/S') FROM "
        counts = [
            tuple(crm.exec_driver_sql(f"{question} copied.customer").one()),
            tuple(erp.exec_driver_sql(f"{question} customer").one()),
        ]
    if counts[0] != counts[1]:
        raise SystemExit(f"what arrived is not what was sent: {counts}")
    print(json.dumps(found))


main()

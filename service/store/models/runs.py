"""Runs, and what they did."""

from __future__ import annotations

import peewee as pw

from service.core.records import Direction
from service.store.models.base import JsonField, State


class SyncRun(State):
    """One execution for a mapping. `owner`, `lease_until` and `attempt` (the fencing token) say who works on it.

    `group_id`: the first of the runs that were asked for together. `request`: the chosen records, as they were asked
    for. `traceparent`: the trace that asked for it (W3C). `checkpoint`: where the engine goes on after a restart.
    `job_id`: what carries it to a worker, with the queue of several machines. `is_long`: it has had the time of a short
    one.
    """

    id = pw.BigAutoField()
    mapping_id = pw.BigIntegerField()
    kind = pw.TextField(default="modified")
    direction = pw.TextField(default=Direction.BIDIRECTIONAL)
    trigger = pw.TextField(column_name="trigger_", default="api")
    dry_run = pw.BooleanField(default=False)
    allow_mass_delete = pw.BooleanField(default=False)
    request = JsonField(default=dict)
    request_key = pw.TextField()
    group_id = pw.BigIntegerField(null=True)
    priority = pw.BigIntegerField(default=0)
    status = pw.TextField(default="queued")
    counts = JsonField()
    progress = JsonField(default=dict)
    checkpoint = JsonField(null=True)
    code = pw.TextField(null=True)
    params = JsonField(null=True)
    requested_by = pw.TextField(null=True)
    traceparent = pw.TextField(null=True)
    created_at = pw.BigIntegerField()
    started_at = pw.BigIntegerField(null=True)
    finished_at = pw.BigIntegerField(null=True)
    owner = pw.TextField(null=True)
    lease_until = pw.BigIntegerField(null=True)
    attempt = pw.BigIntegerField(default=0)
    cancel_requested = pw.BooleanField(default=False)
    version = pw.BigIntegerField(default=1)
    job_id = pw.BigIntegerField(null=True)
    is_long = pw.BooleanField(default=False)

    class Meta:
        table_name = "sync_runs"


class RunPredecessor(State):
    """A run begins only when another one has ended."""

    id = pw.BigAutoField()
    run_id = pw.BigIntegerField()
    after_id = pw.BigIntegerField()

    class Meta:
        table_name = "run_predecessors"


class RunRange(State):
    """A range of keys of a run's reading that a worker takes by itself: the records after one bound up to another.

    `counts`, `progress`: its part of the run's. `checkpoint`: where it goes on. `code`, `params`: why it failed.
    `works_on`: what the page at hand is about, for the workers of other ranges. The lease is as that of a run.
    """

    id = pw.BigAutoField()
    run_id = pw.BigIntegerField()
    number = pw.BigIntegerField()
    after_bound = pw.TextField(null=True)
    upto_bound = pw.TextField(null=True)
    status = pw.TextField(default="open")
    counts = JsonField()
    progress = JsonField(default=dict)
    checkpoint = JsonField(default=dict)
    code = pw.TextField(null=True)
    params = JsonField(null=True)
    works_on = JsonField(null=True)
    owner = pw.TextField(null=True)
    lease_until = pw.BigIntegerField(default=0)
    attempt = pw.BigIntegerField(default=0)

    class Meta:
        table_name = "run_ranges"


class RunRecord(State):
    """What a run did, or in a dry run would do, with one record that was not simply unchanged.

    `rule`: the policy, or the resolution of a person, that decided; None where none was needed. `waits_for`: what it
    refers to and is not coupled.
    """

    id = pw.BigAutoField()
    run_id = pw.BigIntegerField()
    coupling_id = pw.BigIntegerField(null=True)
    direction = pw.TextField()
    side = pw.TextField()
    source_key = pw.TextField()
    destination_key = pw.TextField(null=True)
    outcome = pw.TextField()
    fields = JsonField(null=True)
    rule = pw.TextField(null=True)
    waits_for = JsonField(null=True)
    error_id = pw.BigIntegerField(null=True)

    class Meta:
        table_name = "run_records"

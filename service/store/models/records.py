"""What is known of the records of both sides: pairs, how far they were read, and what is under way with them."""

from __future__ import annotations

import peewee as pw

from service.core.records import Side
from service.store.models.base import JsonField, State


class Watermark(State):
    """How far a side of a mapping has been read: up to (modified_on, key), at `read_at` by the source's horizon.

    `recent`: how many records were read in each of the last seconds before it, by second. `ahead`: how far the source's
    clock was ahead of ours then, at most.
    """

    mapping_id = pw.BigIntegerField()
    side = pw.TextField(choices=[(side, side) for side in Side])
    modified_on = pw.BigIntegerField()
    key = pw.TextField()
    read_at = pw.BigIntegerField()
    recent = JsonField(default=dict)
    ahead = pw.BigIntegerField(default=0)

    class Meta:
        table_name = "watermarks"
        primary_key = pw.CompositeKey("mapping_id", "side")


class ChangeFeed(State):
    """Up to where the feed of a side was followed; the token is the application's."""

    mapping_id = pw.BigIntegerField()
    side = pw.TextField(choices=[(side, side) for side in Side])
    token = pw.TextField()

    class Meta:
        table_name = "change_feeds"
        primary_key = pw.CompositeKey("mapping_id", "side")


class Coupling(State):
    """Two records known to be the same thing, as they were when they were last synchronized.

    A base maps the id of a field mapping (as text) to that side's canonical value; None: there is none. An echo flag
    says that the side's stamp comes from a write of ours. Stamps are None until the pair was synchronized.
    """

    id = pw.BigAutoField()
    mapping_id = pw.BigIntegerField()
    local_key = pw.TextField()
    integration_key = pw.TextField()
    local_modified_on = pw.BigIntegerField(null=True)
    integration_modified_on = pw.BigIntegerField(null=True)
    local_version = pw.TextField(null=True)
    integration_version = pw.TextField(null=True)
    local_base = JsonField(null=True)
    integration_base = JsonField(null=True)
    local_echo = pw.BooleanField(default=False)
    integration_echo = pw.BooleanField(default=False)
    last_result = pw.TextField(null=True)
    last_run_id = pw.BigIntegerField(null=True)
    version = pw.BigIntegerField(default=1)

    class Meta:
        table_name = "couplings"


class Tally(State):
    """How many couplings a mapping has. Triggers keep it: counting a million of them takes a tenth of a second."""

    mapping_id = pw.BigIntegerField(primary_key=True)
    couplings = pw.BigIntegerField()

    class Meta:
        table_name = "tallies"


class SkippedTally(State):
    """How many records of a mapping wait for a person. Triggers keep it."""

    mapping_id = pw.BigIntegerField(primary_key=True)
    records = pw.BigIntegerField()

    class Meta:
        table_name = "skipped_tallies"


class Retry(State):
    """A record that failed, or was coupled and not yet synchronized, and is looked at by the next run.

    `attempts` counts failures of the same cause in a row; `code` is None for one that did not fail.
    """

    id = pw.BigAutoField()
    mapping_id = pw.BigIntegerField()
    side = pw.TextField()
    key = pw.TextField()
    attempts = pw.BigIntegerField(default=0)
    code = pw.TextField(null=True)
    fingerprint = pw.TextField(null=True)
    error_id = pw.BigIntegerField(null=True)
    since = pw.BigIntegerField()

    class Meta:
        table_name = "retries"


class AwaitedRecord(State):
    """A record that a waiting one refers to in its `field`: `key` of `side` of the mapping `mapping_id`."""

    id = pw.BigAutoField()
    retry_id = pw.BigIntegerField()
    field = pw.TextField()
    mapping_id = pw.BigIntegerField()
    side = pw.TextField()
    key = pw.TextField()

    class Meta:
        table_name = "awaited_records"


class Intents(State):
    """A page of inserts into `side` that was about to be sent. `store/intents.py` says what is in it.
    `range_id`: the range of its run that it belongs to, as long as there are ranges."""

    id = pw.BigAutoField()
    run_id = pw.BigIntegerField()
    mapping_id = pw.BigIntegerField()
    side = pw.TextField()
    inserts = JsonField()
    created_at = pw.BigIntegerField()
    range_id = pw.BigIntegerField(null=True)

    class Meta:
        table_name = "intents"


class PendingChanges(State):
    """A page of changes or deletions of records of `side` that was about to be sent; see `store/pending.py`.
    `range_id`: the range of its run that it belongs to, as long as there are ranges."""

    id = pw.BigAutoField()
    run_id = pw.BigIntegerField()
    mapping_id = pw.BigIntegerField()
    side = pw.TextField()
    changes = JsonField()
    range_id = pw.BigIntegerField(null=True)

    class Meta:
        table_name = "pending_changes"


class Exclusion(State):
    """A record that was uncoupled and is left alone."""

    id = pw.BigAutoField()
    mapping_id = pw.BigIntegerField()
    side = pw.TextField()
    key = pw.TextField()
    excluded_by = pw.TextField(null=True)
    created_at = pw.BigIntegerField()

    class Meta:
        table_name = "exclusions"

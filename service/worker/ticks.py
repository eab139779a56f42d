"""What is done again and again beside the runs: schedules, webhooks, forgetting."""

from __future__ import annotations

from service.operations import webhook_delivery
from service.operations.context import Context
from service.operations.runs import RunRequest, start
from service.operations.schedules import next_due
from service.store import mappings


def start_due(context: Context) -> int:
    """Queue a run for every mapping whose schedule has come; a time that was missed is made up for once. Connectors
    that nobody needed for long are closed on that occasion."""
    context.kept.close_idle()
    now, started = context.now(), 0
    for row in mappings.claim_due(now):
        if row.next_due and mappings.set_next_due(row.id, row.next_due, next_due(row.schedule, now, row.idle_runs)):
            start(context, RunRequest(row.id), actor="schedule", trigger="schedule")
            started += 1
    return started


def tell_webhooks(context: Context) -> None:
    """Attempt every delivery that is due."""
    while webhook_delivery.deliver_due(context):
        pass

"""Working on runs: in threads of this process (`embedded`), or for a queue of several machines (`distributed`).

The table of runs is the truth in both; what differs is how a worker learns that there is something to do.
"""

from __future__ import annotations

from service.worker.carrying import carry_out_next, run_until_idle
from service.worker.dead import free_runs_of_the_dead
from service.worker.embedded import Worker
from service.worker.ticks import start_due

__all__ = ["Worker", "carry_out_next", "free_runs_of_the_dead", "run_until_idle", "start_due"]

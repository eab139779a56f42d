"""Taking up the feed of a side: whether its application tells changes by itself, and from which token on.

A feed comes on top of the reading by stamps. It tells deletions, and changes that show later than any overlap. Where
there is no token yet, or the application does not know it any more, a first one is asked for before the side is read,
and then everything is compared: the whole side is read, and every coupling is looked up. So nothing of the time that no
token covers is lost, and what happens from then on is told by the feed.

How far a run is with each feed is in its checkpoint, under `feeds`. `token`: where the feed is followed from;
`listing`: that token is still one within the list of everything; `compare`: the couplings up to the id `until` are to
be looked up, those up to `after` were; `known`: records that wait for a retry with a later id failed in this very run.
"""

from __future__ import annotations

from typing import Any

from service.core.records import Side
from service.engine.task import SYNCHRONIZING, Task
from service.store import couplings, feeds, retries


def take_up(task: Task, source: Side) -> None:
    """At the beginning of a pass: note in the checkpoint how the feed of its side, if there is one, is followed."""
    connector, selection = task.connectors[source], task.mapping.side(source).selection
    if not connector.has_feeds or task.kind not in SYNCHRONIZING or task.revisiting or task.dry_run:
        return
    token = feeds.get(task.mapping.id, source)
    feed: dict[str, Any] = {"token": token, "listing": False, "compare": False, "known": retries.last_id()}
    if token is None or connector.changes(selection, token) is None:
        first = connector.changes(selection, None)
        if first is None and token is None:
            return
        feed |= {"token": first and first.token, "listing": first is not None and first.more, "compare": True}
        feed |= {"after": 0, "until": couplings.last_id(task.mapping.id)}
    task.checkpoint.setdefault("feeds", {})[source.value] = feed


def listing(task: Task, source: Side) -> bool:
    """Whether the list of everything, at whose end the first token is, has parts that were not asked for yet."""
    return bool(of(task, source).get("listing"))


def list_on(task: Task, source: Side) -> None:
    """Ask for another part of that list. Its records are not looked at: they are read after it. A list that ends in its
    midst is begun again by the next run."""
    feed = of(task, source)
    part = task.connectors[source].changes(task.mapping.side(source).selection, feed["token"])
    feed |= {"token": part and part.token, "listing": part is not None and part.more}


def of(task: Task, source: Side) -> dict[str, Any]:
    """What the checkpoint says of the feed of a side; nothing where there is none."""
    found: dict[str, Any] = task.checkpoint.get("feeds", {}).get(source.value, {})
    return found

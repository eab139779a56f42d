"""Plants small bugs in copies of the repository, one at a time, and sees whether the tests catch each.

A bug that no test catches, or whose place in the code is not found any more, is a failure of this script: the first
asks for a test, the second for a new line in the table below.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

ROOT = Path(__file__).resolve().parent.parent

SQLITE = ("-k", "sqlite or not postgresql")
"""The tests of the engine run on both databases; one is enough to catch a bug of the engine."""


@dataclass(frozen=True)
class Bug:
    """A sabotage: in `file`, `old` becomes `new`, and then one of `tests` must fail."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


CORE = ("tests/core",)
PLANTED = ("tests/engine/test_planted.py",)
CONFLICTS = ("tests/engine/test_conflicts.py",)
FAILURES = ("tests/engine/test_failures.py",)
CRASH = ("tests/engine/test_crash.py",)
MOMENTS = ("tests/engine/test_crash_moments.py",)
SEEDS = ("tests/simulation/test_simulation.py::test_the_first_seeds",)
JOB = ("tests/engine/test_main_job.py",)
FEED = ("tests/engine/test_feed.py",)
MATCH = ("tests/engine/test_match.py",)
RANGES = ("tests/engine/test_ranges.py",)

BUGS: Sequence[Bug] = (
    # Feeds
    Bug(
        "a feed tells a late record, and only its stamp is believed",
        "service/engine/follow.py",
        "states[key][0] != stamp if key in states else lone",
        "False",
        FEED,
    ),
    Bug(
        "a token is kept for good before its part is settled",
        "service/engine/follow.py",
        "    if part is None:\n        _done_with(task, source, None)",
        "    if part is not None:\n        feeds.save(task.mapping.id, source, part.token)\n    else:\n"
        "        _done_with(task, source, None)",
        FEED,
    ),
    Bug(
        "a lost token is replaced without a comparison",
        "service/engine/feed.py",
        """"listing": first is not None and first.more, "compare": True}""",
        """"listing": first is not None and first.more, "compare": False}""",
        FEED,
    ),
    Bug(
        "a survivor that failed in this run is failed once more by a feed",
        "service/engine/follow.py",
        "if item.id > known} | aside",
        "if item.id < 0} | aside",
        FEED,
    ),
    # The decision
    Bug(
        "the destination check is left out",
        "service/core/decide.py",
        "        if _destination_changed(flows, pair, destination, different):",
        "        if False:",
        CORE,
    ),
    Bug(
        "one-way mappings have a destination check, too",
        "service/core/decide.py",
        "    if mapping.bidirectional:\n        if _destination_changed",
        "    if True:\n        if _destination_changed",
        CORE,
    ),
    Bug(
        "a stamp is compared with the other side's",
        "service/core/decide.py",
        "    source_changed = flow.changed(pair.record, coupled.known[pair.source])",
        "    source_changed = flow.changed(pair.record, coupled.known[pair.source.other])",
        CORE,
    ),
    Bug(
        "stamps alone say what has changed",
        "service/core/flow.py",
        "        return self.stamp_is_later(record, known) or self.values_differ(record, known)",
        "        return self.stamp_is_later(record, known)",
        CORE,
    ),
    Bug(
        "a new stamp is a change of the destination",
        "service/core/decide.py",
        "    if known.base is None and known.modified_on is not None:\n",
        "    if known.modified_on is not None:\n",
        CORE,
    ),
    Bug(
        "the policy's other side wins",
        "service/core/decide.py",
        "    return replace(keep(flows, pair, destination, winner), rule=",
        "    return replace(keep(flows, pair, destination, winner.other), rule=",
        CORE,
    ),
    # The merge
    Bug(
        "one side is compared with the other side's base",
        "service/core/merge.py",
        "    base = coupled.known[side].base\n    return base is None",
        "    base = coupled.known[side.other].base\n    return base is None",
        CORE,
    ),
    Bug(
        "a conflict of two fields goes to the first",
        "service/core/merge.py",
        "        if len(goals) == 2:\n",
        "        if len(goals) == 3:\n",
        CORE,
    ),
    Bug(
        "equal edits are a conflict",
        "service/core/merge.py",
        "        if not isinstance(wanted, Unconvertible) and equal(wanted, there.values[line.destination]):\n"
        "            return {}\n",
        "",
        CORE,
    ),
    Bug(
        "a field with a conflict counts as synchronized",
        "service/core/merge.py",
        "            conflicts[id] = goals\n            continue\n",
        "            conflicts[id] = goals\n            agreed.add(id)\n            continue\n",
        CORE,
    ),
    Bug(
        "what a destination trims and rounds is sent again and again",
        "service/core/flow.py",
        "    there = coupled.known[side.other].base\n    if there is None",
        "    there = None\n    if there is None",
        CORE,
    ),
    # What is remembered
    Bug(
        "fields that did not travel get a new base",
        "service/core/flow.py",
        "    if agreed is not None and not fresh.keys() <= agreed:\n",
        "    if False:\n",
        (*CORE, *CONFLICTS),
    ),
    Bug(
        "the base of one side is forgotten",
        "service/store/couplings.py",
        "        other_base if other_base is None or other_base != base else _SAME,\n",
        "        None,\n",
        JOB,
    ),
    Bug(
        "what a destination holds after a write is not remembered",
        "service/engine/apply.py",
        "    visit.after[side] = result\n",
        "    visit.after[side] = visit.after.get(side, result)\n",
        JOB,
    ),
    Bug(
        "a healed record is still waiting",
        "service/engine/journal.py",
        "    retries.remove(mapping_id, source, {*entries.healed, *entries.waits_no_more} - waiting)\n",
        "",
        (*FAILURES, *MATCH),
    ),
    # Which records a run looks at
    Bug(
        "records with exactly the stamp of the watermark are not read again",
        "service/connectors/memory/connector.py",
        "position[1] >= since",
        "position[1] > since",
        ("tests/connectors/test_memory.py",),
    ),
    Bug(
        "a reading does not begin behind the watermark",
        "service/engine/window.py",
        "    start = _floor(min(mark.modified_on, horizon) - connector.overlap, tick)\n",
        "    return min(mark.modified_on, horizon) + 1\n",
        JOB,
    ),
    Bug(
        "the watermark moves beyond the source's horizon",
        "service/engine/window.py",
        "_floor(min(mark.modified_on, horizon) - connector.overlap, tick)",
        "_floor(mark.modified_on - connector.overlap, tick)",
        PLANTED,
    ),
    Bug(
        "a watermark moves back",
        "service/store/watermarks.py",
        " WHERE excluded.modified_on >= watermarks.modified_on",
        "",
        PLANTED,
    ),
    Bug(
        "a record that waits for its retry is not looked for",
        "service/engine/detect.py",
        "    found = task.connectors[source].fetch(selection, by_key, filtered=True) if page else {}\n",
        "    found: dict[str, Record] = {}\n",
        FAILURES,
    ),
    Bug(
        "excluded records are candidates",
        "service/engine/detect.py",
        "(only_coupled or record.key in excluded)",
        "only_coupled",
        (*CONFLICTS, *MATCH),
    ),
    Bug(
        "records set aside are candidates",
        "service/engine/detect.py",
        "        if record.key in aside:\n",
        "        if False:\n",
        (*CONFLICTS, *FAILURES),
    ),
    # Writing
    Bug(
        "writes are not guarded by the version that was read",
        "service/engine/apply.py",
        "task.mapping.bidirectional or visit.resolving)",
        "False)",
        PLANTED,
    ),
    Bug(
        "deletions are not guarded by the version that was read",
        "service/engine/apply.py",
        "Deletion(visit.record, guarded=True)",
        "Deletion(visit.record, guarded=False)",
        PLANTED,
    ),
    Bug(
        "what somebody moved meanwhile is written over with a new version",
        "service/engine/apply.py",
        "    decide_again(task, source, moved)\n",
        "    before = [(visit.decision, visit.record) for visit in moved]\n"
        "    decide_again(task, source, moved)\n"
        "    for visit, (decision, record) in zip(moved, before, strict=True):\n"
        "        visit.decision, visit.record = decision, record\n",
        PLANTED,
    ),
    Bug(
        "an insert is sent without an intent",
        "service/engine/apply.py",
        "        intents.save(task.mapping.id, task.lease, side, task.now(), noted)\n",
        "        pass\n",
        PLANTED,
    ),
    Bug(
        "an intent is settled by repeating the insert",
        "service/engine/settle.py",
        "        elif ours or (hits and item.source_key in records):\n",
        "        elif False:\n",
        CRASH,
    ),
    Bug(
        "a worker that lost its lease still writes to an application",
        "service/engine/pending.py",
        "        runs.assert_held(task.lease)\n        pending.save(",
        "        pending.save(",
        PLANTED,
    ),
    Bug(
        "a worker that wakes after its lease sends what it was about to send",
        "service/engine/task.py",
        "        if self.now() >= self.lease.until - self.margin:\n",
        "        if False:\n",
        MOMENTS,
    ),
    Bug(
        "a sign of life keeps a run that was handed over",
        "service/store/runs.py",
        " SET lease_until = 0, owner = NULL",
        " SET lease_until = 0",
        MOMENTS,
    ),
    Bug(
        "what was overwritten before a crash is in no history",
        "service/engine/pending.py",
        "            runs.record(run_id, done)\n",
        "            pass\n",
        MOMENTS,
    ),
    Bug(
        "a key that was sent is not sent again",
        "service/engine/settle.py",
        "            task.chosen[side, item.source_key] = item.chosen_key\n",
        "            pass\n",
        MOMENTS,
    ),
    # What only chance meets, within the first seeds of the simulation
    Bug(
        "by chance: an insert is sent without an intent",
        "service/engine/apply.py",
        "        intents.save(task.mapping.id, task.lease, side, task.now(), noted)\n",
        "        pass\n",
        SEEDS,
    ),
    Bug(
        "by chance: what a destination holds after a write is not read back",
        "service/engine/apply.py",
        "    visit.after[side] = result\n",
        "    visit.after[side] = visit.after.get(side, result)\n",
        SEEDS,
    ),
    Bug(
        "by chance: the watermark is too far",
        "service/engine/window.py",
        "_floor(min(mark.modified_on, horizon) - connector.overlap, tick)",
        "_floor(mark.modified_on - connector.overlap, tick)",
        SEEDS,
    ),
    Bug(
        "by chance: an intent is settled by repeating the insert",
        "service/engine/settle.py",
        "        elif ours or (hits and item.source_key in records):\n",
        "        elif False:\n",
        SEEDS,
    ),
    Bug(
        "by chance: a worker that lost its lease goes on",
        "service/engine/task.py",
        "        if self.now() >= self.lease.until - self.margin:\n",
        "        if False:\n",
        SEEDS,
    ),
    Bug(
        "by chance: writes are not guarded",
        "service/engine/apply.py",
        "task.mapping.bidirectional or visit.resolving)",
        "False)",
        SEEDS,
    ),
    Bug(
        "by chance: what was edited since an insert is forgotten",
        "service/engine/settle.py",
        "side: _known_of(task, side, item, made)}\n",
        "side: remember(task.flows[side], made, NOTHING_KNOWN, None, echo=True)}\n",
        ("tests/simulation/test_simulation.py::test_the_other_seeds",),
    ),
    Bug(
        "a worker that lost its lease still writes its page down",
        "service/store/runs.py",
        "        *lease.mine,\n    )\n    if not held:\n        raise LeaseLost\n\n\ndef assert_held",
        "        *lease.mine,\n    )\n    del held\n\n\ndef assert_held",
        CRASH,
    ),
    Bug(
        "a dry run writes",
        "service/engine/apply.py",
        "    if task.dry_run:\n        return\n    writing",
        "    writing",
        FAILURES,
    ),
    # Runs that several workers share
    Bug(
        "a page of a range does not say which match values it is about",
        "service/engine/rivals.py",
        "    ranges.tell_others(task.lease, said)\n",
        "",
        RANGES,
    ),
    Bug(
        "a twin that was coupled meanwhile is taken all the same",
        "service/engine/rivals.py",
        "        if marks[key] in others or twin.key not in free\n",
        "        if marks[key] in others\n",
        RANGES,
    ),
    Bug(
        "a run ends while others are at work on its ranges",
        "service/operations/sharing.py",
        "        raise StillShared\n",
        "        return\n",
        RANGES,
    ),
    Bug(
        "a range that goes on settles nothing",
        "service/engine/sync.py",
        '    patiently(task, lambda: settle(task))\n    while not task.checkpoint.get("finished"):\n        with',
        '    while not task.checkpoint.get("finished"):\n        with',
        RANGES,
    ),
    Bug(
        "the whole mapping is settled by whoever takes the run",
        "service/store/sql.py",
        '    return f"{column} IS NOT DISTINCT FROM ?" if is_postgresql() else f"{column} IS ?"\n',
        '    return "(? IS NULL OR 1 = 1)"\n',
        RANGES,
    ),
    Bug(
        "the counters of ranges are not summed up",
        "service/engine/ranges.py",
        "                counts[way][outcome] += number\n",
        "                counts[way][outcome] += 0\n",
        RANGES,
    ),
    Bug(
        "the watermark stays after a shared reading",
        "service/engine/ranges.py",
        "        if latest and not task.dry_run:\n",
        "        if False:\n",
        RANGES,
    ),
    Bug(
        "who helps does not let go for a run that waits",
        "service/operations/execution.py",
        "Stop.HAND_OVER if store.something_waits(context.now(), short=short) else None",
        "None",
        RANGES,
    ),
    Bug(
        "deleted partners are counted by every range",
        "service/engine/guards.py",
        '    return any(progress.get("deletionsCounted") for progress in ranges.progress_of(task.lease.run_id))\n',
        "    return False\n",
        RANGES,
    ),
    # New records
    Bug(
        "a twin is coupled although it is taken",
        "service/engine/match.py",
        "    return set(keys) - taken\n",
        "    return set(keys)\n",
        MATCH,
    ),
    Bug(
        "two new records with one key are both inserted",
        "service/engine/match.py",
        "            if len(claims[values]) > 1 and (",
        "            if False and (",
        MATCH,
    ),
    Bug(
        "the first of several twins is coupled",
        "service/engine/match.py",
        "len(uncoupled) == 1 and len(candidates) == 1",
        "uncoupled",
        MATCH,
    ),
    # Failures, and what is set aside
    Bug(
        "the first failure sets a record aside",
        "service/engine/journal.py",
        "    elif (again and not failure.transient) or _at_once(task, failure):\n",
        "    elif not failure.transient:\n",
        FAILURES,
    ),
    Bug(
        "a failure that passes sets a record aside",
        "service/engine/journal.py",
        "    elif (again and not failure.transient) or _at_once(task, failure):\n",
        "    elif again or _at_once(task, failure):\n",
        PLANTED,
    ),
    Bug(
        "two different failures set a record aside",
        "service/engine/journal.py",
        "visit.waiting is not None and visit.waiting.fingerprint == failure.fingerprint",
        "visit.waiting is not None",
        FAILURES,
    ),
    Bug(
        "the retry of a failed insert is forgotten",
        "service/engine/journal.py",
        "        entries.postponed.append((visit, attempts, problem))\n",
        "        entries.postponed += [(visit, attempts, problem)] if visit.coupled else []\n",
        FAILURES,
    ),
    Bug(
        "a conflict is not set aside",
        "service/engine/journal.py",
        '        entries.skips.append((visit, "conflict", problem))\n',
        "",
        CONFLICTS,
    ),
    Bug(
        "records that left the filter are taken for deleted ones",
        "service/engine/deleted.py",
        "[coupled.keys[side] for coupled in page], filtered=False",
        "[coupled.keys[side] for coupled in page], filtered=True",
        FAILURES,
    ),
    Bug(
        "deletions beyond the limit are carried out",
        "service/engine/guards.py",
        "    if allowed and gone > min(allowed):\n",
        "    if False:\n",
        FAILURES,
    ),
    # What people say
    Bug(
        "a resolution is carried out without a look at what the person saw",
        "service/engine/resolve.py",
        " and case.seen != case.item.seen]",
        " and False]",
        CONFLICTS,
    ),
    Bug(
        "a resolution is accepted without a look at what the person saw",
        "service/operations/skipped.py",
        "item.seen is not None and item.seen != live.seen:",
        "False:",
        CONFLICTS,
    ),
    Bug(
        "the choice for a field is not obeyed",
        "service/core/conflicts.py",
        "    source = Side(choice)\n",
        "    source = Side.LOCAL if Side.LOCAL in by_source else Side(choice)\n",
        PLANTED,
    ),
    Bug(
        "what was uncoupled is not excluded",
        "service/engine/resolve.py",
        "            exclude(task, [case.coupled])\n",
        "            pass\n",
        CONFLICTS,
    ),
)


class Copy:
    """A copy of the repository's own files, in which bugs are planted and removed again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            check=True,
            text=True,
        )
        for name in filter(None, listed.stdout.split("\0")):
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)

    def test(self, selection: Sequence[str]) -> tuple[int, str]:
        """Run tests until the first fails; pytest's answer, and the name of the test that failed."""
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *SQLITE, *selection],
            cwd=self.folder,
            # No bytecode: two versions of one file within a second and of one length would be taken for the same.
            env={
                **os.environ,
                "PYTHONDONTWRITEBYTECODE": "1",
                "PYTHONPATH": str(self.folder),
                "HYPOTHESIS_PROFILE": "fast",
            },
            capture_output=True,
            text=True,
        )
        failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
        name = failed[0].partition("::")[2].partition(" - ")[0] if failed else "no test failed"
        return done.returncode, name if done.returncode in (0, 1) else done.stdout[-2000:]

    def plant(self, bug: Bug) -> str:
        """What became of a bug: empty when a test caught it, otherwise what is wrong. The test is printed."""
        file = self.folder / bug.file
        text = file.read_text()
        if text.count(bug.old) != 1:
            return f"its place in {bug.file} was found {text.count(bug.old)} times"
        file.write_text(text.replace(bug.old, bug.new))
        began = time.monotonic()
        try:
            code, found = self.test(bug.tests)
        finally:
            file.write_text(text)
        caught = code == 1
        print(
            f"{'caught' if caught else 'MISSED':6}  {time.monotonic() - began:5.1f} s  {bug.name:66}  {found}",
            flush=True,
        )
        return "" if caught else f"pytest ended with {code}: no test of {' '.join(bug.tests)} caught it"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", help="only bugs whose name has one of these words")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many at a time")
    arguments = parser.parse_args()
    bugs = [bug for bug in BUGS if not arguments.words or any(word in bug.name for word in arguments.words)]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(arguments.jobs) as pool:
        copies: SimpleQueue[Copy] = SimpleQueue()
        for number in range(arguments.jobs):
            copies.put(Copy(Path(folder) / str(number)))

        def plant(bug: Bug) -> str:
            copy = copies.get()
            try:
                return copy.plant(bug)
            finally:
                copies.put(copy)

        sound = copies.get()
        code, found = sound.test(sorted({name for bug in bugs for name in bug.tests}))
        if code:
            print(f"planted-bugs: the tests fail without any planted bug: {found}", file=sys.stderr)
            return 1
        copies.put(sound)
        missed = {bug.name: why for bug, why in zip(bugs, pool.map(plant, bugs), strict=True) if why}
    for name, why in missed.items():
        print(f"planted-bugs: {name}: {why}", file=sys.stderr)
    print(f"{len(bugs) - len(missed)} of {len(bugs)} planted bugs were caught")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

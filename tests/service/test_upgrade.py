"""A newer version beside an older one, while runs are in flight. The next version is this one with a migration more:
one that only adds, or one beside which no older version can work."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

import service
from service.operations import runs, upgrading
from service.operations.upgrading import StillWorking
from service.store import levels, processes, sql
from service.store.database import connection
from tests.servers import PostgresServer
from tests.service.installation import ROOT, Installation, installation

MIGRATION = """
def up(migrator, db):
    db.execute_sql("ALTER TABLE sync_runs ADD COLUMN next_version BIGINT NOT NULL DEFAULT 7")
"""
ALONE = (
    MIGRATION + "    db.execute_sql('ALTER TABLE sync_runs RENAME COLUMN is_long TO is_lasting')\n\n\nALONE = True\n"
)
REFUSAL = "brought to 0999_next by a newer version"


@pytest.fixture
def place(tmp_path: Path, postgres: PostgresServer) -> Iterator[Installation]:
    with installation(tmp_path, postgres, postgres, ACCORD_LEASE_SECONDS="6") as made:
        yield made


def next_version(folder: Path, migration: str) -> Path:
    """The folder of a version that has this migration, and goes by it."""
    code = folder / "next"
    own = Path(service.__file__).parent
    shutil.copytree(own, code / "service", ignore=shutil.ignore_patterns("__pycache__"))
    (code / "tests").symlink_to(own.with_name("tests"))
    (code / "service" / "store" / "migrations" / "0999_next.py").write_text(migration)
    if migration is ALONE:
        for file in (code / "service").rglob("*.py"):
            if file.parent.name != "migrations" and "is_long" in (text := file.read_text()):
                file.write_text(text.replace("is_long", "is_lasting"))
    return code


def accord(place: Installation, code: Path | None, command: str) -> subprocess.CompletedProcess[str]:
    call = [sys.executable, "-m", "service.cli", command]
    environment = {**os.environ, **place.environment, "PYTHONPATH": str(code or ROOT)}
    return subprocess.run(
        call, cwd=place.folder, env=environment, capture_output=True, text=True, timeout=90, check=False
    )


def reads(place: Installation, number: int) -> bool:
    """Whether a run has read so many records."""
    with connection():
        return any(run.progress.get("read", 0) >= number for run in runs.list_runs(limit=50))


def test_an_older_version_works_on_beside_what_only_adds(place: Installation, tmp_path: Path) -> None:
    code = next_version(tmp_path, MIGRATION)
    mapping_ids = place.map(12, 5)
    place.start("web0", "work0")
    migrated = accord(place, code, "migrate")
    assert "applied 0999_next" in migrated.stdout, migrated.stderr
    place.start("work1", code=code)
    for _ in range(20):
        place.trigger(["web0"], mapping_ids)
        place.wait_for_all()
        if both := all("run_finished" in place.log(name) for name in ("work0", "work1")):
            break
    assert both, "one of them did it all, again and again"
    assert {*place.runs("status, next_version")} == {("succeeded", 7)}
    place.assert_same(12)
    # Started anew, the older one finds nothing wrong either.
    place.end("work0")
    place.start("work0")


def test_an_older_version_leaves_before_what_it_could_not_work_with(place: Installation, tmp_path: Path) -> None:
    code = next_version(tmp_path, ALONE)
    (mapping_id,) = place.map(1, 4_000)
    place.slow_down(0.004)
    place.start("web0", "work0")
    place.trigger(["web0"], [mapping_id])
    place.wait_for(partial(reads, place, 500))
    migrated = accord(place, code, "migrate")
    assert "applied 0999_next" in migrated.stdout, migrated.stderr
    older = [place.processes.pop(name) for name in ("work0", "web0")]
    assert [process.wait(30) for process in older] == [2, 0]
    for name in ("work0", "web0"):
        assert REFUSAL in place.log(name)
    assert place.runs("status") == [("running",)], "it was handed over"
    refused = accord(place, None, "work")
    assert (refused.returncode, REFUSAL in refused.stderr) == (2, True), refused.stderr
    place.start("work1", code=code)
    place.wait_for_all()
    assert place.runs("status") == [("succeeded",)]
    place.assert_same(1)


def test_a_process_that_does_not_leave_is_named(place: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    with connection():
        processes.see("machine:1", "worker", "0.1.0", "0003", place.context.now())
        processes.see("machine:2", "worker", "0.1.0", "0003", place.context.now())
        sql.execute("UPDATE processes SET seen_at = 0 WHERE name = 'machine:2'")
    monkeypatch.setattr(levels, "to_be_alone", lambda: "0004")
    with pytest.raises(StillWorking, match=r"still work: machine:1\. Stop them"):
        upgrading.upgrade(patience=0)
    with connection():
        processes.forget("machine:1")
    assert upgrading.upgrade(patience=0) == []

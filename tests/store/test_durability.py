"""What was committed is on the disk: an intent that a power cut could take back would be no protection."""

from pathlib import Path

from service.store.database import connection, database, open_database


def test_sqlite_waits_for_the_disk_at_every_commit(tmp_path: Path) -> None:
    open_database(f"sqlite:///{tmp_path / 'state.db'}")
    with connection():
        (synchronous,) = database.execute_sql("PRAGMA synchronous").fetchone()
        (journal,) = database.execute_sql("PRAGMA journal_mode").fetchone()
    assert (synchronous, journal) == (2, "wal")

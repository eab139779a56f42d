"""What the tests of OData services share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.store.database import connection, migrate, open_database


@pytest.fixture
def state(tmp_path: Path) -> Iterator[None]:
    """Our own state, open and empty."""
    database = open_database(f"sqlite:///{tmp_path / 'state.db'}")
    migrate()
    with connection():
        yield
    database.close()

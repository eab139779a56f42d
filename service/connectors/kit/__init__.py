"""What service/connectors/base.py promises, as tests, for every connector: our own and those of third parties.

A connector's own test is a subclass of `ConnectorContract` with the fixture `app`, an `Application`, and `traits` for
what is peculiar. The application has two tables:

customer  id (a text, chosen by whoever inserts), number (text of 20, unique), name (text of 50, required), city (text),
          credit (decimal 10,2), blocked (boolean), born (date), seen (datetime), visits (integer), modified_at (stamp)
numbered  id (generated), name (text of 50, required), modified_at

An application whose tables cannot be chosen has what it has: `Traits.fields` says which of its fields stand for these,
and what it is without. What cannot be asked of it then is a test `test_what_is_left_out` each, whose name says which
test that is and why, and which fails where the connector's own description has what is said to be missing.

The kit needs pytest, which comes with the extra `kit`; nothing that runs in the service imports it.
"""

import pytest

# Before they are imported: a failed `assert` then shows both of its sides.
pytest.register_assert_rewrite(
    *(
        f"{__name__}.{part}"
        for part in (
            "application",
            "base",
            "describing",
            "reading",
            "ranges",
            "following",
            "lacking",
            "writing",
            "guarding",
        )
    )
)

from service.connectors.kit.application import (  # noqa: E402
    CUSTOMER,
    FIELDS,
    LACKS,
    SECOND,
    T0,
    Application,
    People,
    Traits,
    failure_of,
    keys_of,
    read_all,
    record_of,
)
from service.connectors.kit.describing import Describing  # noqa: E402
from service.connectors.kit.following import Following  # noqa: E402
from service.connectors.kit.guarding import Guarding  # noqa: E402
from service.connectors.kit.lacking import Lacking  # noqa: E402
from service.connectors.kit.ranges import Ranges  # noqa: E402
from service.connectors.kit.reading import Reading  # noqa: E402
from service.connectors.kit.writing import Writing  # noqa: E402

CUSTOMERS = Traits().customers
NUMBERED = Traits().numbers

__all__ = [
    "CUSTOMER",
    "CUSTOMERS",
    "FIELDS",
    "LACKS",
    "NUMBERED",
    "SECOND",
    "T0",
    "Application",
    "ConnectorContract",
    "Following",
    "People",
    "Traits",
    "failure_of",
    "keys_of",
    "read_all",
    "record_of",
]


class ConnectorContract(Describing, Reading, Ranges, Following, Writing, Guarding, Lacking):
    """Everything that holds for every connector."""

"""The command `accord`: starting the service, and what an operator asks of it from a shell."""

from __future__ import annotations

import click

from service import __version__, shell
from service.cli import check, database, mapping_sets, processes, secrets, setup_file, sync, tokens
from service.settings.environment import SETTINGS


@click.group(
    cls=shell.Group,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=", ".join(SETTINGS),
)
@click.version_option(__version__, prog_name="accord")
def main() -> None:
    """Keep the records of two business applications in accord.

    Settings come from the environment; <NAME>_FILE names a file that holds the value instead. Traces are sent where
    OTEL_EXPORTER_OTLP_ENDPOINT says.
    """


COMMANDS = (
    processes.start,
    processes.serve,
    processes.work,
    database.migrate_command,
    database.backup,
    database.restored_command,
    check.check,
    sync.sync,
    setup_file.apply,
    setup_file.export_command,
    mapping_sets.sets_group,
    tokens.token_group,
    secrets.secrets_group,
)
"""Every command; a new one has a file of its own beside these, and a line here."""

for command in COMMANDS:
    main.add_command(command)

"""What `accord doctor` and the commands say about an installation."""

from __future__ import annotations

from collections.abc import Mapping

from service.wording.words import Counted, Words

INSTALLATION: Mapping[str, Words] = {
    "settings_wrong": Words("Settings", "{detail}", "Change the setting, and start the process again."),
    "workers_alive": Words("Workers", Counted("{count} worker is alive.", "{count} workers are alive.", "count")),
    "workers_alive.warn": Words(
        "Workers", "No worker is alive; there is nothing for one to do.", "Start `accord start`, or `accord work`."
    ),
    "workers_alive.fail": Words(
        "Workers",
        "No worker is alive: no run begins, and no schedule is kept.",
        "Start `accord start`, or `accord work` on one of the machines; the log of the last one says why it ended.",
    ),
    "versions_differ": Words(
        "Versions",
        "Processes of several versions work side by side: {versions}.",
        "Replace the older ones; in the midst of an upgrade that is as it should be.",
    ),
    "process_clock": Words("Clocks", "The clock of {process} is {seconds} s from that of the database."),
    "process_clock.warn": Words(
        "Clocks",
        "The clock of {process} is {seconds} s from that of the database.",
        "Set the clocks of all machines by the same time server.",
    ),
    "process_clock.fail": Words(
        "Clocks",
        "The clock of {process} is {seconds} s from that of the database: it may take a run while another has it.",
        "Stop it, and set the clocks of all machines by the same time server.",
    ),
    "secret_key_fits": Words("Secret key", "What is encrypted can be read with ACCORD_SECRET_KEY."),
    "secret_key_fits.fail": Words(
        "Secret key",
        "{items}: encrypted with a key that is not among those of ACCORD_SECRET_KEY.",
        "Add the key that the service had before; all processes need the same. If it is lost, enter the credentials"
        " again.",
    ),
    "schedules_kept": Words("Schedules", "No mapping is overdue."),
    "schedules_kept.fail": Words(
        "Schedules",
        Counted(
            "{count} mapping was due and was not started, for {minutes} minutes: {mappings}.",
            "{count} mappings were due and were not started, the first for {minutes} minutes: {mappings}.",
            "count",
        ),
        "See that a worker is alive; what was missed is made up for once.",
    ),
    "runs_taken": Words(
        "Queue",
        Counted(
            "{count} run has been waiting for {minutes} minutes.",
            "{count} runs have been waiting, the first for {minutes} minutes.",
            "count",
        ),
        "Start more workers, or raise ACCORD_RUNS.",
    ),
    "runs_gone_on_with": Words(
        "Runs of dead workers",
        Counted(
            "The worker of {count} run has died, and nobody has gone on with it: {runs}.",
            "The workers of {count} runs have died, and nobody has gone on with them: {runs}.",
            "count",
        ),
        "Start a worker. If one is alive, its log says why it does not take them.",
    ),
    "transaction_open_long": Words(
        "Open transactions",
        "A transaction on the database of the service has been open for {minutes} minutes.",
        "Find and end it: PostgreSQL cannot tidy up behind it, and its tables grow.",
    ),
    "disk_room": Words("Disk", "{megabytes} MB are free in {folder}."),
    "disk_room.fail": Words(
        "Disk", "Only {megabytes} MB are free in {folder}.", "Make room; a full disk stops all runs."
    ),
    "write_ahead_log_large": Words(
        "Write-ahead log",
        "The write-ahead log of the database has {megabytes} MB.",
        "Something has kept the database open for reading for long; restart the service when that has ended.",
    ),
    "database_unusable": Words(
        "Database", "{detail}", "Look at ACCORD_DATABASE_URL, and whether the database answers."
    ),
    "migrations_missing": Words("Database", "{detail}", "Run `accord migrate`."),
    "version_too_old": Words("Version", "{detail}", "Install the newer version on this machine too."),
    "queue_tables_missing": Words("Queue", "{detail}", "Run `accord migrate` with the same ACCORD_QUEUE_URL."),
    "installation_unusable": Words("Installation", "{detail}"),
}

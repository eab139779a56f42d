"""What is wrong with a connection, and what its checks find."""

from __future__ import annotations

from collections.abc import Mapping

from service.wording.words import Counted, Words

CONNECTION_PROBLEMS: Mapping[str, Words] = {
    "setting_required": Words("Missing", "The setting {name} is required."),
    "credential_required": Words("Missing", "The credential {name} is required."),
    "not_a_database_name": Words("No database", "This is no name of a database: letters, digits, _, - and dots."),
    "not_a_web_address": Words(
        "No address", "This is no address such as https://host/path, or it has a password, a query or a fragment in it."
    ),
    "not_a_certificate": Words(
        "No certificate",
        "This must be a certificate and its private RSA key, both as PEM in one text, the key without a password.",
    ),
    "driver_missing": Words(
        "Not installed", "This needs the package {package}, which is not installed; an extra of Accord brings it."
    ),
    "unknown_setting": Words("Unknown setting", "This kind of connection has no setting {name}."),
    "unknown_credential": Words("Unknown credential", "This kind of connection has no credential {name}."),
    "not_a_duration": Words("Wrong duration", "The setting {name} must be a number from 0 to {maximum}."),
    "not_a_database_url": Words(
        "No address", "This is no address of a database, such as sqlite:///path/to/file or postgresql://host/database."
    ),
    "database_not_supported": Words("Unknown database", "There is no database {database}; there are: {known}."),
    "database_not_supported_yet": Words("Not supported yet", "{database} is not supported yet; there are: {known}."),
    "not_a_file": Words("No file", "An SQLite database is named by its file: sqlite:///path/to/file."),
    "unknown_kind": Words("Unknown kind", "There is no kind of connection {kind}; there are: {kinds}."),
    "password_masked": Words(
        "The password is masked",
        "The address has *** for a password and is not the stored one.",
        "Enter the password itself, or leave the address out to keep it as it is.",
    ),
}

CHECKS: Mapping[str, Words] = {
    "check_not_made": Words("Not known", "{check}: this kind of connection cannot tell."),
    "check_not_made.not_reached": Words("Not known", "{check}: the business application could not be asked."),
    "check_not_made.no_users": Words(
        "Not known", "{check}: a file has no users and no limits; whoever may open it may do everything in it."
    ),
    "check_not_made.no_currencies": Words(
        "Not known", "{check}: a database does not say which of its columns are currencies and rates."
    ),
    "check_not_made.no_currency_told": Words(
        "Not known", "{check}: the application does not say what its currencies are."
    ),
    "check_not_made.no_currency_mapped": Words(
        "Not known", "{check}: no mapping of this connection has to do with currencies."
    ),
    "check_not_made.no_limits": Words(
        "Not known", "{check}: the application does not say how many more requests it lets pass."
    ),
    "check_not_made.no_user_told": Words(
        "Not known", "{check}: the application does not tell what its users are and may do."
    ),
    "check_not_made.no_rights_told": Words(
        "Not known", "{check}: the application tells of this right only when it is used; the first run will say."
    ),
    "check_not_made.no_credentials": Words("Not known", "{check}: the connection has no credentials."),
    "check_not_made.no_stamps": Words("Not known", "{check}: there is no record yet whose stamp would tell."),
    "check_not_made.in_process": Words("Not known", "{check}: the store is a part of this process."),
    "reachable": Words("Reachable", "The business application can be reached."),
    "reachable.fail": Words(
        "Not reachable", "The business application cannot be reached.", "Check the address, and that it is running."
    ),
    "credentials": Words("Credentials", "The credentials are accepted."),
    "credentials.fail": Words(
        "Credentials", "The credentials are not accepted.", "Enter the credentials of the connection again."
    ),
    "user_is_administrator": Words("Rights of the user", "The user of the connection is not an administrator."),
    "user_is_administrator.warn": Words(
        "Rights of the user",
        "The user of the connection is an administrator.",
        "Make a user of its own for the integration, with the rights it needs and no others.",
    ),
    "user_is_administrator.fail": Words(
        "Rights of the user",
        "The user of the connection is an administrator, and must not be.",
        "Make a user of its own for the integration, with the rights it needs and no others.",
    ),
    "password_change": Words("Password", "The password need not be changed first."),
    "password_change.warn": Words(
        "Password",
        Counted(
            "The password must be changed within {days} day.",
            "The password must be changed within {days} days.",
            "days",
        ),
        "Change it, and enter it in the connection.",
    ),
    "password_change.fail": Words(
        "Password", "The password must be changed first.", "Change it, and enter it in the connection."
    ),
    "clock_distance": Words(
        "Clocks",
        Counted(
            "The clock of the business application is {seconds} second from ours.",
            "The clock of the business application is {seconds} seconds from ours.",
            "seconds",
        ),
    ),
    "clock_distance.warn": Words(
        "Clocks",
        Counted(
            "The clock of the business application is {seconds} second from ours.",
            "The clock of the business application is {seconds} seconds from ours.",
            "seconds",
        ),
        "Set both clocks by the same time server.",
    ),
    "open_transactions": Words("Open transactions", "Transactions that are still open are seen."),
    "open_transactions.warn": Words(
        "Open transactions",
        "The user of the connection does not see the open transactions of others, and a change that is committed"
        " late may be missed.",
        "Give the user the role pg_read_all_stats. For a standby, set overlapSeconds to the longest transaction.",
    ),
    "read_access": Words("Reading {table}", "{table} can be read."),
    "read_access.fail": Words(
        "Reading {table}", "{table} cannot be read.", "Give the user of the connection the right to read it."
    ),
    "write_access": Words("Writing {table}", "{table} can be written."),
    "write_access.warn": Words(
        "Writing {table}",
        "The user of the connection lacks rights to {table}: {missing}.",
        "Give the user of the connection these rights, if the mapping writes to this table.",
    ),
    "write_access.fail": Words(
        "Writing {table}", "{table} cannot be written.", "Give the user of the connection the right to write it."
    ),
    "modified_on_index": Words("Index of {table}", "Changes in {table} are found by an index."),
    "modified_on_index.warn": Words(
        "Index of {table}",
        "The time of the last change has no index in {table}, so that every run reads the whole table.",
        "Make an index on the field with the time of the last change.",
    ),
    "modified_on_precision": Words("Stamps of {table}", "The stamps of {table} are finer than a second."),
    "modified_on_precision.warn": Words(
        "Stamps of {table}",
        "The stamps of {table} are in whole seconds, so that two changes within one second look like one.",
        "Nothing is lost by it; where the application can keep finer stamps, let it.",
    ),
    "conditional_updates": Words("Conditional updates of {table}", "An update of {table} can be made conditional."),
    "conditional_updates.warn": Words(
        "Conditional updates of {table}",
        "{table} has no ETags: an edit that is made between our look at a record and our writing is overwritten.",
        "Ask whoever runs the application for ETags, or synchronize this table in one direction.",
    ),
    "alternate_keys": Words(
        "Alternate keys of {table}", "Every alternate key of {table} is active, and is used where it fits."
    ),
    "alternate_keys.warn": Words(
        "Alternate keys of {table}",
        "These alternate keys of {table} are not active, and are not used: {keys}.",
        "Wait until the application has made their indexes; one that failed has records with the same values, which"
        " have to be corrected before the key is activated again.",
    ),
    "company": Words("Company", "The user of the connection sees these companies: {companies}."),
    "company.fail": Words(
        "Company",
        "The user of the connection sees no company.",
        "Give the user of the connection a permission set in the company.",
    ),
    "exchange_rates": Words("Exchange rates", "Every currency in use has an exchange rate."),
    "exchange_rates.fail": Words(
        "Exchange rates",
        "These currencies have no exchange rate: {currencies}.",
        "Enter an exchange rate for each of them.",
    ),
    "rate_limits": Words("Rate limits", "There are requests and connections left."),
    "rate_limits.warn": Words(
        "Rate limits",
        "The application lets {left} more requests or connections pass for now.",
        "Let other programs ask less, or give the integration a user of its own.",
    ),
}

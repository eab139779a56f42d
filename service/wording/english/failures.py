"""What can go wrong with a record, a page or a run: the errors that people see in lists."""

from __future__ import annotations

from collections.abc import Mapping

from service.wording.words import Counted, Words

FAILURES: Mapping[str, Words] = {
    "destination_modified_later": Words(
        "Both records were changed",
        "Cannot update the {destination} record because it has a later modified date than the {source} record",
        "Open the skipped record, compare both sides and say which changes to keep.",
    ),
    "partner_deleted": Words(
        "The coupled record was deleted",
        "The {source} record is coupled to a {destination} record that no longer exists.",
        "Restore the deleted record, delete its partner too, or uncouple the two.",
    ),
    "partner_deleted.bare": Words(
        "The coupled record was deleted",
        "The coupled record in {table} no longer exists.",
        "Restore the deleted record, delete its partner too, or uncouple the two.",
    ),
    "value_rejected": Words(
        "A value was refused",
        "The value for the field {field} was refused by the destination.",
        "Correct the value in the source record; it is tried again in the next run.",
    ),
    "value_rejected.not_a": Words(
        "A value was refused",
        "The value for the field {field} is not valid; it must be: {expected}.",
        "Correct the value in the source record, or map the field to one of a fitting type.",
    ),
    "value_rejected.not_of_form": Words(
        "A value was refused",
        "The value for the field {field} is not a date or time in the form {format}.",
        "Correct the value in the source record, or name the form that it has in the mapping.",
    ),
    "value_rejected.not_null": Words(
        "A value is missing",
        "The field {field} must have a value, and the source record has none.",
        "Fill in the field in the source record, or map a constant to it.",
    ),
    "value_rejected.not_an_option": Words(
        "A value is none of the options",
        "{field} cannot hold {value}: its options are {options}.",
        "Correct the value in the source record, add the option to the field, or put a `valueMap` into the mapping.",
    ),
    "value_rejected.out_of_range": Words(
        "A number is out of range",
        "The value for the field {field} is larger than the field can hold.",
        "Correct the value in the source record.",
    ),
    "value_rejected.unique": Words(
        "A value is already taken",
        "Another record already has this value for {field}, and it must be unique.",
        "Correct one of the two records, or couple the record to the one that already exists.",
    ),
    "value_rejected.foreign_key": Words(
        "A reference leads nowhere",
        "The value for {field} refers to a record that does not exist in the destination.",
        "Synchronize the record that is referred to first, or correct the reference.",
    ),
    "value_rejected.not_in_address": Words(
        "A value cannot be part of an address",
        "The value for {field} has one of the characters / < > * % & : \\ ? +, which a key in an address cannot have.",
        "Correct the value in the source record, or map the reference to the lookup itself.",
    ),
    "value_rejected.check": Words(
        "A value breaks a rule of the destination",
        "The destination refused the record because of its rule {constraint}.",
        "Correct the value in the source record.",
    ),
    "value_rejected.exclusion": Words(
        "A value breaks a rule of the destination",
        "The destination refused the record because of its rule {constraint}, which another record stands against.",
        "Correct the value in one of the two records.",
    ),
    "value_rejected.key_cannot_change": Words(
        "A key cannot be changed",
        "The field {field} is the key of the destination, and the key of a record that exists cannot be changed.",
        "Give the source record its old value back, or uncouple the two.",
    ),
    "value_rejected.undecided": Words(
        "Nobody has decided yet",
        "Both sides changed {field}, and nobody has said which value to keep.",
        "Look at the skipped record again, and choose for these fields too.",
    ),
    "value_rejected.bare": Words(
        "A value was refused",
        "The destination refused the record: {detail}.",
        "Correct the source record; it is tried again in the next run.",
    ),
    "value_rejected.grew_too_long": Words(
        "A text grew too long",
        Counted(
            "A transformation of the field {field} was about to make a text of more than {maximum} character.",
            "A transformation of the field {field} was about to make a text of more than {maximum} characters.",
            "maximum",
        ),
        "Shorten the text in the source record, or change the transformation in the mapping.",
    ),
    "value_rejected.not_a_currency": Words(
        "A value was refused",
        "{value} in {field} is no code of a currency.",
        "Correct the value in the source record.",
    ),
    "value_rejected.parts_change": Words(
        "Parts would change",
        "The parts of {field} would not come back as they are: {part} would be {back} instead of {held}.",
        "Correct the record, or let the mapping join with another separator, or in one direction only.",
    ),
    "value_rejected.expression_failed": Words(
        "An expression failed",
        "The expression for the field {field} gives no value for this record: {detail}.",
        "Correct the value in the source record, or let the expression in the mapping deal with it.",
    ),
    "value_not_mapped": Words(
        "A value is not in the table",
        "The value {value} of the field {field} is not in the value map of the mapping.",
        "Add {value} to the value map, say what becomes of other values with `unmapped`, or correct the source record.",
    ),
    "value_not_mapped.bare": Words(
        "A value is not in the table",
        "A value of the record is not in the value map of the mapping.",
        "Add the value to the value map, or correct the source record.",
    ),
    "value_too_long": Words(
        "A text is too long",
        Counted(
            "The text for the field {field} has {length} character; the field holds at most {maximum}.",
            "The text for the field {field} has {length} characters; the field holds at most {maximum}.",
            "length",
        ),
        "Shorten the text in the source record.",
    ),
    "value_too_long.bare": Words(
        "A text is too long",
        "A text of the record is too long for the destination.",
        "Shorten the text in the source record.",
    ),
    "reference_not_coupled": Words(
        "A referenced record is not coupled yet",
        "The field {field} refers to the record {key} of the mapping {mapping}, which is not coupled yet.",
        "Synchronize the record that is referred to; this one follows by itself.",
    ),
    "reference_not_coupled.bare": Words(
        "Referenced records are not coupled yet",
        "Records wait because those that their field {field} refers to are not coupled yet.",
        "Synchronize the mapping that they belong to; these follow by themselves. Their status says how many wait.",
    ),
    "ambiguous_match": Words(
        "Several records match",
        "More than one record could be the partner of this one: {candidates}.",
        "Couple the record by hand, or make the match fields unique.",
    ),
    "uncertain_after_restore": Words(
        "Possibly there already",
        "The {source} record may have been synchronized after the backup that the service's state was restored from,"
        " and no {destination} record equals it.",
        "If its partner exists, couple the two by hand; if not, resolve it with retry, and it is inserted.",
    ),
    "record_not_found": Words(
        "The record does not exist",
        "There is no record with the key {key} in {table}.",
        "Check the key; it is the one of the record in its own application.",
    ),
    "permission_denied": Words(
        "Permission denied",
        "The user of the connection may not do this: {detail}.",
        "Give the user of the connection the right to read and write the mapped tables.",
    ),
    "permission_denied.bare": Words(
        "Permission denied",
        "The user of the connection lacks a right to {table}.",
        "Give the user of the connection the right to read and write the mapped tables.",
    ),
    "credentials_rejected": Words(
        "The credentials were rejected",
        "The business application did not accept the user name or password of the connection.",
        "Enter the credentials of the connection again.",
    ),
    "password_change_required": Words(
        "The password must be changed first",
        "The user of the connection must change the password before it can be used.",
        "Sign in as this user, change the password, and enter the new one in the connection.",
    ),
    "integration_user_is_administrator": Words(
        "The integration user is an administrator",
        "The user of the connection is an administrator; synchronization needs a user with limited rights.",
        "Make a user of its own for the integration, with the rights it needs and no others.",
    ),
    "exchange_rate_missing": Words(
        "An exchange rate is missing",
        "There is no exchange rate for the currency {currency}.",
        "Enter an exchange rate for this currency.",
    ),
    "exchange_rate_missing.bare": Words(
        "An exchange rate is missing",
        "A currency has no exchange rate.",
        "Enter an exchange rate for each currency.",
    ),
    "table_not_found": Words(
        "The table does not exist",
        "There is no table {table} in the business application, or the user of the connection may not see it.",
        "Check the name of the table and the rights of the user of the connection.",
    ),
    "field_not_found": Words(
        "The field does not exist",
        "The table {table} has no field {field}.",
        "Check the name of the field; the connection's tables list what there is.",
    ),
    "field_not_found.bare": Words(
        "The field does not exist",
        "A field that the mapping names does not exist in {table} any more.",
        "Check the names of the fields; the connection's tables list what there is.",
    ),
    "address_refused": Words(
        "The address may not be reached",
        "{host} may not be reached.",
        "Check the address of the connection.",
    ),
    "address_refused.private": Words(
        "The address is in a private network",
        "{host} leads to {address}, which is in a private network.",
        "If that is meant, name the address itself in the connection, or list its network in ACCORD_PRIVATE_NETWORKS.",
    ),
    "address_refused.forbidden": Words(
        "The address may not be reached",
        "{host} leads to {address}, which is never an application: a link-local, multicast or metadata address.",
        "Check the address of the connection; no setting allows this one.",
    ),
    "address_refused.elsewhere": Words(
        "The application leads elsewhere",
        "The application leads on to {address}, which is not the address of the connection.",
        "Check the address of the connection; credentials are never sent to another one.",
    ),
    "not_a_database": Words(
        "This is no database",
        "The file that the connection names is not a database.",
        "Check the address in the settings of the connection.",
    ),
    "connection_disabled": Words(
        "The connection is disabled",
        "The connection {connection} is disabled.",
        "Enable the connection first.",
    ),
    "mapping_disabled": Words(
        "The mapping is disabled",
        "The mapping {mapping} is disabled, so no run can be started for it.",
        "Enable the mapping first.",
    ),
    "mapping_invalid": Words(
        "The mapping does not fit the tables any more",
        "The field {field} is of the type {type} now, and cannot be used as the mapping uses it.",
        "Save the mapping again; the answer lists everything that is wrong with it.",
    ),
    "no_field_mappings": Words(
        "No field flows",
        "No enabled field mapping flows in the direction of the run.",
        "Add a field mapping for this direction, or enable one.",
    ),
    "mass_deletion": Words(
        "Too many deletions at once",
        Counted(
            "{deletions} of {coupled} coupled records was deleted on one side; the mapping allows {allowed} at once.",
            "{deletions} of {coupled} coupled records were deleted on one side; the mapping allows {allowed} at once.",
            "deletions",
        ),
        "If they were meant to go, start the run again and allow mass deletion for this once.",
    ),
    "side_went_back": Words(
        "A side went back to an older state",
        Counted(
            "{records} of {looked} {table} records shows an older state than it had when it was last synchronized.",
            "{records} of {looked} {table} records show an older state than they had when they were last synchronized.",
            "records",
        ),
        "If an older backup was restored on purpose, start the run again and allow it for this once.",
    ),
    "secret_lost": Words(
        "Credentials cannot be read",
        "The credentials of the connection {connection} were encrypted with another secret key.",
        "Start the service with the old key as well, or give the connection its credentials again.",
    ),
    "side_is_empty": Words(
        "A side is suddenly empty",
        Counted(
            "{table} lists no records at all, although {coupled} record of it is coupled.",
            "{table} lists no records at all, although {coupled} records of it are coupled.",
            "coupled",
        ),
        "Check the table and the filter. If it was meant to be emptied, start the run again and allow mass deletion.",
    ),
    "internal_error": Words(
        "Internal error",
        "Something unexpected happened.",
        "Look for the trace id in the log of the service, and report the problem.",
    ),
    "connection_failed": Words(
        "The connection failed",
        "The business application cannot be reached: {detail}.",
        "Check that the application is running and that the address is right. The run is repeated by itself.",
    ),
    "connection_failed.bare": Words(
        "The connection failed",
        "The business application cannot be reached.",
        "Check that the application is running and that the address is right. The run is repeated by itself.",
    ),
    "rate_limited": Words(
        "Too many requests",
        "The business application asked for fewer requests.",
        "Nothing needs to be done: the records are tried again.",
    ),
    "timeout": Words(
        "No answer in time",
        "The business application did not answer in time.",
        "Nothing needs to be done: the records are tried again.",
    ),
    "record_locked": Words(
        "The record is locked",
        "Somebody is working on the record in the business application.",
        "Nothing needs to be done: the record is tried again.",
    ),
    "record_moved": Words(
        "The record was changed meanwhile",
        "The record was changed between reading and writing it.",
        "Nothing needs to be done: the record is looked at again.",
    ),
}

"""The English catalogue: one entry for each code. Parameters stand in braces."""

from __future__ import annotations

from collections.abc import Mapping

from service.wording.words import Counted, Words

_FAILURES = {
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

_REFUSALS = {
    "validation_failed": Words("Wrong values", "The request has wrong values; `errors` lists all of them."),
    "bad_request": Words("Bad request", "The request cannot be understood."),
    "invalid_json": Words("This is no JSON", "The body of the request is not valid JSON."),
    "invalid_header": Words("Wrong header", "The header {header} has a form that is not allowed."),
    "invalid_cursor": Words(
        "Wrong cursor",
        "The cursor does not belong to this list with these filters.",
        "Use the cursor of an earlier answer unchanged, with the same filters, or start without one.",
    ),
    "selection_required": Words(
        "Say which errors",
        "Deleting errors needs `olderThan` (an age such as 7d or P7D) or `all=true`.",
        "Add one of the two; `dryRun=true` tells first how many would go.",
    ),
    "token_missing": Words(
        "Not signed in", "The request carries no token.", "Send the header `Authorization: Bearer <token>`."
    ),
    "token_invalid": Words(
        "The token is not valid", "The token is unknown, expired or revoked.", "Ask an administrator for a new token."
    ),
    "form_expired": Words(
        "The form is too old",
        "The form does not belong to the present session.",
        "Open the page again and repeat what you did.",
    ),
    "scope_missing": Words(
        "Not allowed",
        "This needs a token with the scope {scope}.",
        "Use another token, or ask an administrator for one with this scope.",
    ),
    "not_found": Words("Not found", "There is no {noun} {id}."),
    "path_not_found": Words("Not found", "There is nothing at this address."),
    "method_not_allowed": Words(
        "Method not allowed", "This address does not take this method; `Allow` lists those it takes."
    ),
    "not_acceptable": Words("Not acceptable", "The answers of this service are JSON, and the request refuses JSON."),
    "conflict": Words("Conflict", "The request contradicts what is stored now."),
    "name_taken": Words("The name is taken", "There is already a {noun} with the name {name}.", "Choose another name."),
    "connection_in_use": Words(
        "The connection is in use",
        "The connection cannot be deleted because mappings use it: {mappings}.",
        "Delete these mappings first.",
    ),
    "mapping_referenced": Words(
        "Other mappings refer to it",
        "Field mappings of other mappings refer to records of this one: {mappings}.",
        "Take the references out of those mappings first.",
    ),
    "mapping_has_couplings": Words(
        "The mapping has couplings",
        Counted(
            "The tables, keys and connections of a mapping stay as they are while {coupled} record is coupled by it.",
            "The tables, keys and connections of a mapping stay as they are while {coupled} records are coupled by it.",
            "coupled",
        ),
        "Make a new mapping for the other tables, or uncouple the records first.",
    ),
    "open_conflicts": Words(
        "There are open conflicts",
        "The mapping cannot become one-way while conflicts are open: only a bidirectional mapping has conflicts.",
        "Resolve the skipped records with the reason `conflict` first.",
    ),
    "run_in_progress": Words(
        "A run is in progress",
        "This cannot be done while the run {run} of the mapping is in progress.",
        "Wait until the run has ended, or cancel it.",
    ),
    "already_coupled": Words(
        "Already coupled",
        "The record {key} is already coupled in this mapping.",
        "Uncouple it first if it is to have another partner.",
    ),
    "already_resolved": Words(
        "Already resolved",
        "The skipped record is not open any more.",
        "Read it again to see what became of it.",
    ),
    "in_step": Words("In step", "Both records are in step, and nothing has changed since.", ""),
    "set_aside": Words(
        "Set aside",
        "The record is set aside ({reason}) until somebody resolves it.",
        "Resolve the skipped record {id}.",
    ),
    "waiting_for_retry": Words(
        "Waiting for a retry",
        "The {side} record failed and waits for the next run; failures of this cause in a row: {attempts}.",
        "See the error; the next run tries again by itself.",
    ),
    "waiting_for_reference": Words(
        "Waiting for another record",
        "The {side} record refers, in {field}, to the record {key} of the mapping {mapping}, which is not coupled yet.",
        "Synchronize that record; this one follows by itself.",
    ),
    "both_sides_empty": Words("No records", "Neither side has a record.", ""),
    "both_sides_filled": Words(
        "Both sides have records",
        "Both sides have records, and none of them is coupled.",
        "Start a run of kind `match` first, as a dry run to see what it would couple; then a run of kind `full`.",
    ),
    "both_sides_filled_no_match_keys": Words(
        "Both sides have records",
        "Both sides have records, none of them is coupled, and no field mapping is a match key.",
        "Give field mappings a `matchKey` and match, or couple by hand. Otherwise a full run makes everything twice.",
    ),
    "uncoupled_on_both_sides": Words(
        "Uncoupled records on both sides",
        "Both sides have records that are not coupled, and this mapping synchronizes coupled records alone.",
        "Start a run of kind `match`, as a dry run to see what it would couple.",
    ),
    "uncoupled_records": Words(
        "Uncoupled records", "There are records that are not coupled yet.", "Start a run of kind `full`."
    ),
    "one_side_empty": Words(
        "One side is empty", "One side has records, and the other has none.", "Start a run of kind `full`."
    ),
    "only_coupled_records": Words(
        "Nothing is coupled",
        "Nothing is coupled, and nothing that could be inserted: this mapping synchronizes coupled records alone, or in"
        " the direction in which there are none.",
        "Couple records, or switch `synchOnlyCoupledRecords` off.",
    ),
    "never_read": Words(
        "Not read yet", "The records were not read by the mapping as it is now.", "Start a run of kind `full`."
    ),
    "read_and_coupled": Words("Nothing to do", "All records were read, and those that can be are coupled.", ""),
    "outside_filter": Words(
        "Outside the filter",
        "The {table} record {key} is outside the mapping's filter, so that no run starts from it.",
        "Change the record or the filter, if it should be synchronized.",
    ),
    "next_run_acts": Words(
        "The next run acts",
        "The next run will look at the pair ({direction}): {outcome}.",
        "Start a run, or wait for it.",
    ),
    "already_finished": Words("The run has ended", "The run has ended ({status}), and cannot be cancelled any more."),
    "moved_on": Words(
        "The records have changed",
        "A record was changed after it was shown, so that nothing was written.",
        "Look at the skipped record again, and resolve it as it is now.",
    ),
    "token_in_use": Words(
        "This token is in use",
        "A token cannot revoke itself, so that nobody is locked out by accident.",
        "Use another token with the scope admin to revoke this one.",
    ),
    "precondition_failed": Words(
        "Changed by somebody else",
        "The {noun} {id} has been changed since you read it.",
        "Read it again, look at the changes, and repeat yours.",
    ),
    "precondition_required": Words(
        "If-Match is missing",
        "This request must say in `If-Match` which version it is about.",
        "Send the `ETag` of the item as you read it.",
    ),
    "identity_provider_unreachable": Words(
        "The identity provider does not answer",
        "The identity provider does not answer as it should now.",
        "Try again later, or use a token that this service made. The setting ACCORD_OIDC_ISSUER names the provider.",
    ),
    "sign_in_expired": Words(
        "Sign in again",
        "The answer of the identity provider does not belong to a sign-in that this browser began in the last minutes.",
        "Sign in again.",
    ),
    "sign_in_refused": Words(
        "Not signed in",
        "The identity provider let nobody in: {detail}.",
        "Sign in again, or ask who looks after the identity provider.",
    ),
    "sign_in_without_scopes": Words(
        "Nothing is allowed",
        "The identity provider knows {name}, and says of nothing here that they may do it.",
        "Ask who looks after the identity provider for one of the words that ACCORD_OIDC_SCOPES lists.",
    ),
    "notification_refused": Words(
        "Notification refused",
        "The notification does not carry the secret of the connection.",
        "Make a secret with POST /connections/{{id}}/notification-secret, and register it in the business application.",
    ),
    "webhook_url_wrong": Words(
        "No address",
        "This is no address of a webhook, such as https://example.com/accord, without a user or a fragment.",
    ),
    "too_many_webhooks": Words(
        "Too many webhooks",
        Counted(
            "There is {most} webhook, and there can be no more.",
            "There are {most} webhooks, and there can be no more.",
            "most",
        ),
        "Delete one that nobody needs.",
    ),
    "too_many_requests": Words(
        "Too many requests",
        Counted(
            "More requests came than are allowed; the next will be answered in {seconds} second.",
            "More requests came than are allowed; the next will be answered in {seconds} seconds.",
            "seconds",
        ),
        "Wait as long as `Retry-After` says. The setting ACCORD_RATE_LIMIT says how many each token may send.",
    ),
    "payload_too_large": Words(
        "The body is too large",
        Counted(
            "The body of the request is larger than {limit} byte.",
            "The body of the request is larger than {limit} bytes.",
            "limit",
        ),
    ),
    "unsupported_media_type": Words(
        "Wrong media type", "The body of the request must be JSON, with `Content-Type: application/json`."
    ),
    "idempotency_key_reused": Words(
        "The Idempotency-Key was used before",
        "This Idempotency-Key was used for another request.",
        "Use a new key for each request.",
    ),
    "idempotency_key_in_use": Words(
        "The first request is still running",
        "The request with this Idempotency-Key has not been answered yet.",
        "Repeat the request in a moment.",
    ),
    "secret_lost": Words(
        "The secret key does not fit",
        "What was encrypted with another secret key cannot be read.",
        "Start the service with the secret key it had before, or enter the credentials again.",
    ),
    "database_unreachable": Words(
        "The database cannot be reached",
        "The service cannot reach its own database.",
        "Look at the log of the service, and check its ACCORD_DATABASE_URL.",
    ),
    "migrations_pending": Words(
        "The database is not up to date",
        Counted(
            "The database of the service lacks {count} migration.",
            "The database of the service lacks {count} migrations.",
            "count",
        ),
        "Run `accord migrate`.",
    ),
}

_VALUES = {
    "required": Words("Missing", "This is required."),
    "unknown_field": Words("Unknown field", "There is no such field."),
    "unknown_parameter": Words("Unknown parameter", "There is no such parameter."),
    "repeated_parameter": Words("Repeated parameter", "This can be given only once."),
    "not_null": Words("Empty", "This cannot be null."),
    "not_an_object": Words("No object", "This must be an object."),
    "not_a_list": Words("No list", "This must be a list."),
    "not_a_text": Words("No text", "This must be a text."),
    "not_an_integer": Words("No integer", "This must be a whole number."),
    "not_a_boolean": Words("No boolean", "This must be true or false."),
    "not_a_scalar": Words("No single value", "This must be a text, a number, true, false or null."),
    "not_a_moment": Words("No moment", "This must be a time such as 2026-11-21T10:00:00Z."),
    "not_a_choice": Words("No choice", "This must be one of: {choices}."),
    "not_an_age": Words("No age", "This must be an age such as 90m, 7d or P7D, of at most 9999 weeks."),
    "forbidden_character": Words("Forbidden character", "This has a character that is not allowed here."),
    "number_out_of_range": Words("Out of range", "This must be from {min} to {max}."),
    "text_length": Words(
        "Wrong length",
        Counted("This must have {min} to {max} character.", "This must have {min} to {max} characters.", "max"),
    ),
    "list_length": Words(
        "Wrong length", Counted("This must have {min} to {max} entry.", "This must have {min} to {max} entries.", "max")
    ),
    "nested_too_deep": Words("Too deep", "This is nested too deep."),
    "invalid_value": Words("Wrong value", "This value is not allowed."),
    "one_of_ids_and_filter": Words("Say which", "Exactly one of `ids` and `filter` must be given."),
    "filter_empty": Words("Say which", "The filter needs at least one of `mappingId` and `reason`."),
}

_RUN_PROBLEMS = {
    "kind_unknown": Words("Unknown kind", "There is no kind of run {kind}; there are: {kinds}."),
    "direction_not_allowed": Words(
        "Wrong direction", "The direction of the mapping is {direction}, and excludes this."
    ),
    "records_missing": Words("Say which", "A run of kind records needs `records` or `couplingIds`."),
    "records_unexpected": Words("Too much", "A run of kind {kind} takes no chosen records."),
    "coupling_unknown": Words("Unknown coupling", "The mapping has no coupling {id}."),
    "match_keys_missing": Words("No match keys", "The mapping has no field mapping with a `matchKey`."),
    "resolution_does_not_fit": Words(
        "Does not fit", "This resolution does not fit the record as it is now; these do: {fitting}."
    ),
    "choices_unexpected": Words("Too much", "Choices per field belong to the resolution merge alone."),
    "choice_missing": Words("Incomplete", "Say which value to keep for the field {field}: both sides changed it."),
    "field_not_mapped": Words("Unknown field", "The mapping has no field {field}."),
    "choice_form": Words("Wrong choice", "A choice is `local`, `integration`, or an object with `value` alone."),
}

_CONNECTION_PROBLEMS = {
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

_MAPPING_PROBLEMS = {
    "connection_unknown": Words(
        "Unknown connection",
        "There is no connection {id}.",
        "Name a connection that there is; `GET /connections` lists them.",
    ),
    "key_undeterminable": Words(
        "The key is not known", "The connection cannot tell the key of {table}; name its field.", "Fill in `key`."
    ),
    "key_is_binary": Words(
        "The key holds bytes",
        "{field} of {table} holds bytes; no record can be found by them.",
        "Name another field in `key` that no two records share.",
    ),
    "side_key_differs": Words(
        "The keys do not fit each other",
        "{field} of {table} is made of another number of fields ({count}) than the key {key} is ({wanted}), so that no"
        " stamp can be told to belong to a record.",
        "Name the key of {table} whose fields hold those of {key}, in the same order.",
    ),
    "modified_on_undeterminable": Words(
        "The modified-on stamp is not known",
        "The connection cannot tell where {table} keeps the time of its last change; name the field.",
        "Fill in `modifiedOn` with a field, or with a side table that holds the stamp.",
    ),
    "filter_operator_unknown": Words(
        "Unknown operator",
        "There is no operator {op}; there are: {operators}.",
        "Take one of these operators.",
    ),
    "filter_value_wrong": Words(
        "Wrong value",
        "This value does not fit the operator {op} and the field {field}.",
        "Give a value of the field's type; a list for `in`, a text for `startsWith` and `contains`.",
    ),
    "types_not_convertible": Words(
        "Types do not fit",
        "Values of {source} ({source_type}) cannot be written to {destination} ({destination_type}).",
        "Put a transformation between them, or map {source} to a field of a fitting type.",
    ),
    "parts_not_joined": Words(
        "Parts are not joined",
        "{source} is several fields, and {destination} is one; nothing makes one value of theirs.",
        "Put `concat` or an expression between them, or let the field mapping flow in the other direction only.",
    ),
    "parts_not_split": Words(
        "A value is not split",
        "{source} is one value, and {destination} is several fields; nothing makes several values of it.",
        "Put `split` or an expression that gives a list between them, or let it flow in the other direction only.",
    ),
    "parts_do_not_fit": Words(
        "Parts do not fit",
        "The parts of {source} are not as many as those of {destination}, or of other types.",
        "Name as many fields on both sides, in the same order.",
    ),
    "part_named_twice": Words(
        "Named twice", "{field} names a field twice.", "Name each field once, with ` + ` between them."
    ),
    "key_is_part": Words(
        "The key is no part",
        "{field} is the key of {table} and cannot be written as a part of another value.",
        "Take {field} out, or let the field mapping flow in the other direction only.",
    ),
    "split_needs_parts": Words(
        "Nothing to split into",
        "`split` makes values for several fields, and {field} is a single one.",
        "Name the fields with ` + ` between them, such as `first_name + last_name`, or take `regex`.",
    ),
    "constant_with_both_fields": Words(
        "Too much",
        "A constant goes to one field; name only the field it is written to.",
        "Take the constant out, or the field that it is not for.",
    ),
    "constant_missing": Words(
        "Incomplete",
        "A line with one field needs a constant.",
        "Give a constant, or name the second field.",
    ),
    "field_mapping_empty": Words(
        "Incomplete",
        "A field mapping names at least one field.",
        "Name `localField`, `integrationField` or both.",
    ),
    "field_read_only": Words(
        "Read-only",
        "{field} is set by its own application and cannot be written.",
        "Take {field} out, or let the field mapping flow in the other direction only.",
    ),
    "field_is_modified_on": Words(
        "This is the stamp",
        "{field} is where {table} keeps the time of its last change, and cannot be written.",
        "Take {field} out: the application stamps its records by itself.",
    ),
    "field_written_twice": Words(
        "Written twice",
        "The field {field} is written by another field mapping too.",
        "Take one of the two out, or let it flow in the other direction only.",
    ),
    "required_field_not_mapped": Words(
        "A required field is missing",
        "New records of {table} need a value for {field}, and no field mapping gives one.",
        "Map a field or a constant to it, or synchronize only coupled records.",
    ),
    "transform_unknown": Words(
        "Unknown transformation",
        "There is no transformation {name}; there are: {names}.",
        "Take one of these; the page on field mappings has an example of each.",
    ),
    "transform_form": Words(
        "Not a transformation",
        "A transformation is its name, or an object of one name and its parameters.",
        'Write `"trim"` or `{{"truncate": {{"length": 20}}}}`.',
    ),
    "transform_parameter_unknown": Words(
        "Unknown parameter",
        "The transformation {name} has no parameter {parameter}; it has: {parameters}.",
        "Take {parameter} out.",
    ),
    "transform_parameter_missing": Words(
        "Incomplete",
        "The transformation {name} needs the parameter {parameter}.",
        "Add {parameter}.",
    ),
    "transform_parameter_wrong": Words(
        "Wrong parameter", "{parameter} of the transformation {name} must be: {expected}.", "Correct {parameter}."
    ),
    "transform_parameter_wrong.choice": Words(
        "Wrong parameter", "{parameter} of the transformation {name} must be one of: {choices}.", "Correct {parameter}."
    ),
    "transform_parameter_wrong.range": Words(
        "Wrong parameter",
        "{parameter} of the transformation {name} must be {expected}, from {min} to {max}.",
        "Correct {parameter}.",
    ),
    "transform_parameter_wrong.length": Words(
        "Wrong parameter",
        Counted(
            "{parameter} of the transformation {name} must be a text of {min} to {max} character.",
            "{parameter} of the transformation {name} must be a text of {min} to {max} characters.",
            "max",
        ),
        "Correct {parameter}.",
    ),
    "transform_type_wrong": Words(
        "Wrong type",
        "The transformation {name} cannot work on values of type {type}; it takes: {takes}.",
        "Put another transformation before it, or leave it out.",
    ),
    "currency_wrong": Words(
        "No currency", "{code} is no code of a currency.", "Write the three letters of ISO 4217, such as `NOK`."
    ),
    "pattern_wrong": Words(
        "Wrong pattern", "This is no regular expression: {detail}.", "The syntax is that of RE2: without look-around."
    ),
    "pattern_group_unknown": Words(
        "Unknown group",
        "The replacement names a group that the pattern does not have; it has {groups}.",
        "Name a group that the pattern has, or put one into the pattern with parentheses.",
    ),
    "factor_wrong": Words(
        "Wrong factor",
        "This is a number other than zero, at most thirty digits away from one.",
        "Give another number.",
    ),
    "separators_equal": Words(
        "Wrong separator",
        "The two separators must be different.",
        "Give another separator.",
    ),
    "separator_wrong": Words(
        "Wrong separator",
        "{separator} can be part of a number and cannot separate anything.",
        "Give another separator.",
    ),
    "date_format_wrong": Words(
        "Wrong format",
        "A format has at least one of these: {codes}. Each occurs once.",
        "Write, for example, `%d.%m.%Y`.",
    ),
    "map_key_twice": Words(
        "Twice in the map",
        "The map says twice what becomes of {key}.",
        "Take one of the two out.",
    ),
    "expression_wrong": Words(
        "Wrong expression",
        "The expression cannot be used: {detail}.",
        "`value` is the field's value.",
    ),
    "expression_grows": Words(
        "Too dear",
        "An expression may use `replace` or `join` once.",
        "Put a second replacement into a transformation of its own.",
    ),
    "name_twice": Words("Twice in the file", "The file names {name} twice."),
    "kind_cannot_change": Words(
        "Another kind",
        "The connection {name} is of the kind {kind}, and a connection stays of its kind.",
        "Give the new connection another name.",
    ),
    "variable_not_set": Words(
        "A secret is missing",
        "The variable {variable} is not set, and nothing is stored that it could stand for.",
        "Set {variable} in the environment, or {variable}_FILE to a file that holds it.",
    ),
    "format_unknown": Words("Unknown format", "This version of Accord reads files with `accord: {format}`."),
    "invalid_yaml": Words("Not YAML", "The file cannot be read: {detail}."),
    "match_key_needs_both_fields": Words(
        "Incomplete",
        "A match key compares two fields; this line has only one.",
        "Name the second field, or take `matchKey` out.",
    ),
    "nothing_flows": Words(
        "Nothing flows",
        "No enabled field mapping flows in a direction of the mapping, so it could do nothing.",
        "Enable a field mapping, or correct its direction.",
    ),
    "same_table_twice": Words(
        "One table twice",
        "A table cannot be synchronized with itself.",
        "Name another table on one of the two sides.",
    ),
    "only_after_matching": Words("Not for this kind", "Only a run of kind `match` is followed by that."),
    "same_name": Words("The same name", "{local} and {integration} have the same name."),
    "same_meaning": Words("The same meaning", "{local} and {integration} are two names for one thing."),
    "similar_name": Words("Similar names", "{local} and {integration} have similar names."),
    "same_values": Words("The same values", "{percent} % of the values seen are in both {local} and {integration}."),
    "joined_name": Words("A name in two parts", "{integration} and {local} together are the same name."),
    "same_options": Words("The same options", "{local} and {integration} have the same options."),
    "mapping_missing": Words("No mapping", "Say which: `mappingId`, `mappingIds`, or `all`; exactly one of them."),
    "mapping_unknown": Words("Unknown mapping", "There is no mapping {id}."),
    "no_mapping_fits": Words("No mapping", "No enabled mapping can have such a run."),
    "kind_for_one_mapping": Words(
        "For one mapping", "A run of kind {kind} is for one mapping; for several there are: {kinds}."
    ),
    "depends_on_unknown": Words(
        "Unknown mapping",
        "There is no mapping {id}.",
        "Name a mapping that there is, or take it out.",
    ),
    "depends_on_itself": Words(
        "A ring",
        "A mapping cannot depend on itself, not through others either.",
        "Take one of the mappings of the ring out of `dependsOn`.",
    ),
    "normalization_without_match_key": Words(
        "No match key", "What does not count for matching can be said of a match key only."
    ),
    "normalization_unknown": Words("Unknown normalization", "There is no normalization {name}; there are: {names}."),
    "normalization_alone": Words("Not alone", "{name} stands alone: it normalizes everything about a number."),
    "region_unknown": Words("Unknown region", "{region} is no region with telephone numbers; use two capital letters."),
    "reference_needs_both_fields": Words(
        "Not both fields",
        "A reference needs a field on both sides.",
        "Name the second field, or take `reference` out.",
    ),
    "reference_of_several_fields": Words(
        "One field refers",
        "{field} is several fields, and a reference is one key.",
        "Name the one field that holds the key, or take the reference out.",
    ),
    "reference_with_transforms": Words(
        "Reference with transformations",
        "A key is translated by couplings; it cannot be transformed as well.",
        "Take the transformations or `reference` out.",
    ),
    "reference_unknown": Words(
        "Unknown mapping",
        "There is no mapping {name}.",
        "Make the mapping {name} first, or correct the name.",
    ),
    "reference_elsewhere": Words(
        "Another pair of connections",
        "The mapping {name} does not join the two connections of this one.",
        "Refer to a mapping between the same two connections.",
    ),
    "reference_ring": Words(
        "A ring",
        "The mappings need each other in a ring, and none of its references can be written later: {ring}.",
        "Map one of the references to a field that may be empty, or take one out.",
    ),
    "set_for_other_kinds": Words(
        "For another kind of connection", "The connection is of kind {kind}; the set is for {kinds}."
    ),
    "set_has_no_mapping": Words("No such mapping in the set", "The set has no mapping {name}; it has {names}."),
    "set_has_no_parameter": Words("No such parameter", "The set has no parameter {name}; it has {names}."),
    "set_has_no_parameter.bare": Words("No such parameter", "The set has no parameter {name}."),
    "set_parameter_missing": Words(
        "A parameter is missing",
        "{name} is not given, and needed for: {names}.",
        "Give the parameter, or say with `mappings` which others are to be applied.",
    ),
    "schedule_cron_wrong": Words("Wrong schedule", "This is no cron expression: {detail}."),
    "schedule_never_due": Words("Never due", "This schedule is never due."),
    "time_zone_unknown": Words("Unknown time zone", "There is no time zone {name}."),
    "schedule_form": Words(
        "Wrong schedule",
        "A schedule has either `everyMinutes` and maybe `slowestMinutes`, or `cron` and maybe `timeZone`.",
    ),
    "schedule_slowest": Words("Wrong schedule", "`slowestMinutes` is not less than `everyMinutes`."),
    "template_never_used": Words(
        "Never used",
        "The template is for new records in the direction {direction}, and the mapping does not flow that way.",
        "Correct the direction of the template, or take it out.",
    ),
    "lint_too_long": Words(
        "Texts may be too long",
        "{source} can hold longer texts than {destination}, which holds {maximum} characters; such records would fail.",
        'Put `{{"truncate": {{"length": {maximum}}}}}` between them, or make {destination} longer.',
    ),
    "lint_out_of_range": Words(
        "Numbers may be too large",
        "{source} can hold numbers that {destination} cannot, such as {value}; such records would fail.",
        "Map {source} to a field that holds as much, or make {destination} larger.",
    ),
    "lint_empty_value": Words(
        "A value may be missing",
        "{source} can be empty, and {destination} must have a value; such records would fail.",
        'Put `{{"default": {{"value": ...}}}}` between them, or filter the records without {source} out.',
    ),
    "lint_not_convertible": Words(
        "Values may not be taken",
        "{source} can hold values that {destination} cannot take, such as {value}; such records would fail.",
        "Put a transformation between {source} and {destination} that says what becomes of them, or correct the map.",
    ),
    "lint_parts_change": Words(
        "Some values are refused",
        "{source} can hold values whose parts would change on the way back, such as {part} from {held} to {back}; such"
        " records would fail.",
        "Take a separator for {source} that no part contains, or let the field mapping flow in one direction only.",
    ),
    "lint_not_an_option": Words(
        "Values may be none of the options",
        "{source} can hold values that are none of the options of {destination}, such as {value}; such records would"
        " fail.",
        "Put a `valueMap` between {source} and {destination} that leads to these: {options}.",
    ),
    "lint_map_unknown_option": Words(
        "The map knows unknown options",
        "The map for {source} speaks of {values}, and {source} never holds that: its options are {options}.",
        "Correct the map of {source}: it is by the value of an option, not by its label.",
    ),
    "lint_not_round_trip": Words(
        "What goes there comes back changed",
        "In {source}, {value} becomes {there} in {destination} and {back} when it comes back.",
        "Let {source} flow in one direction only, or give the other one a transformation that undoes it.",
    ),
    "lint_map_incomplete": Words(
        "The map is not complete",
        "The map for {source} says nothing of {values}; such records would fail.",
        "Add {values} to the map of {source}, or say with `unmapped` what becomes of other values.",
    ),
    "lint_filter_never_matches": Words(
        "No record passes",
        "No record of {table} can fulfil the conditions on {field}: they contradict each other or the field.",
        "Correct the conditions on {field}, or take one of them out.",
    ),
    "lint_never_flows": Words(
        "Nothing flows",
        "{field} flows in the direction {direction} and the mapping in {mapping_direction}, so that it never flows.",
        "Change the direction of {field} or of the mapping, or disable the field mapping.",
    ),
    "lint_transforms_idle": Words(
        "Never applied",
        "The transformations of {field} for {way} are never applied: it does not flow that way.",
        "Take them out, or change the direction of {field}.",
    ),
    "lint_key_not_unique": Words(
        "Match keys are not unique",
        "{count} records of {table} share their {fields} with another one, such as those with the keys {candidates}"
        " (looked at: {records}); which of them is meant nobody could tell.",
        "Give {fields} the same `matchKey` as a field that tells such records apart, or correct what is doubled.",
    ),
    "lint_required_unmapped": Words(
        "Records cannot be created",
        "Nothing is written to {fields} of {table}, which must have a value: no deleted record could be restored, and"
        " none created that has no match.",
        "Map {fields}, or give a template values for them.",
    ),
    "lint_nothing_couples": Words(
        "Nothing would be coupled",
        "`synchOnlyCoupledRecords` leaves new records alone, and no field mapping has a `matchKey`: only pairs that"
        " somebody couples by hand would be synchronized.",
        "Set `synchOnlyCoupledRecords` to false, or give a field mapping a `matchKey` and start a run of kind `match`.",
    ),
    "lint_no_index": Words(
        "No index",
        "{field} of {table} has no index, so that every run reads the whole table.",
        "Make an index on {field} in {table}.",
    ),
    "lint_written_elsewhere": Words(
        "Written by two mappings",
        "The mapping {mapping} writes the field {field} of {table} too; the two would undo each other's work.",
        "Let one of the two write {field}, or filter both so that no record belongs to both.",
    ),
}

_INSTALLATION = {
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

_CHECKS = {
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

ENGLISH: Mapping[str, Words] = {
    **_FAILURES,
    **_REFUSALS,
    **_VALUES,
    **_RUN_PROBLEMS,
    **_CONNECTION_PROBLEMS,
    **_MAPPING_PROBLEMS,
    **_CHECKS,
    **_INSTALLATION,
}

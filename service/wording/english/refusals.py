"""Why a request is refused, and what is wrong with a single value in it."""

from __future__ import annotations

from collections.abc import Mapping

from service.wording.words import Counted, Words

REFUSALS: Mapping[str, Words] = {
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

VALUES: Mapping[str, Words] = {
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

RUN_PROBLEMS: Mapping[str, Words] = {
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

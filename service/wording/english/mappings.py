"""What is wrong with a mapping that cannot be saved as it is, and why one is suggested."""

from __future__ import annotations

from collections.abc import Mapping

from service.wording.words import Words

MAPPING_PROBLEMS: Mapping[str, Words] = {
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
}

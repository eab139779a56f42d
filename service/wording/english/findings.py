"""What the linter finds in a mapping that can be saved."""

from __future__ import annotations

from collections.abc import Mapping

from service.wording.words import Words

FINDINGS: Mapping[str, Words] = {
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

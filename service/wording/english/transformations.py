"""What is wrong with the transformations of a field mapping."""

from __future__ import annotations

from collections.abc import Mapping

from service.wording.words import Counted, Words

TRANSFORM_PROBLEMS: Mapping[str, Words] = {
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
}

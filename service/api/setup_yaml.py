"""YAML with the scalars of JSON: `no`, `012` and `2026-01-01` are texts. Aliases and repeated keys are refused."""

from __future__ import annotations

import re
from typing import Any, NoReturn

import yaml

_NESTED = 50
"""How deep a file may be nested; none that means anything comes near."""


class YamlWrong(Exception):
    """The text is no YAML that can be taken; it says what is wrong, and where."""


class _Loader(yaml.SafeLoader):
    """The safe loader, stricter."""

    yaml_implicit_resolvers = {
        first: [
            (f"tag:yaml.org,2002:{tag}", re.compile(pattern))
            for tag, starts, pattern in (
                ("null", "~n", r"(?:~|null)$"),
                ("bool", "tf", r"(?:true|false)$"),
                ("int", "-0123456789", r"-?(?:0|[1-9][0-9]*)$"),
                ("float", "-0123456789", r"-?(?:0|[1-9][0-9]*)\.[0-9]+(?:[eE][-+][0-9]+)?$"),
            )
            if first in starts
        ]
        for first in "~ntf-0123456789"
    } | {"": [("tag:yaml.org,2002:null", re.compile("$"))]}
    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            self._refuse("aliases are not allowed")
        self.depth += 1
        if self.depth > _NESTED:
            self._refuse("nested too deep")
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1

    def _refuse(self, what: str) -> NoReturn:
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        raise yaml.MarkedYAMLError(problem=what, problem_mark=mark)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.value in seen:
                what = f"{key.value} stands here twice" if isinstance(key, yaml.ScalarNode) else "this is no name"
                raise yaml.MarkedYAMLError(problem=what, problem_mark=key.start_mark)
            seen.add(key.value)
            # A name is a text, whatever it looks like: 1, true.
            key.tag = "tag:yaml.org,2002:str"
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """The safe dumper; what occurs twice is written twice."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True


def load_yaml(text: str) -> Any:
    """What a YAML text says. Raises YamlWrong."""
    try:
        return yaml.load(text, _Loader)  # noqa: S506  (it is the safe one)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = "" if mark is None else f" in line {mark.line + 1}, column {mark.column + 1}"
        raise YamlWrong(f"{error.problem}{where}") from error
    except yaml.YAMLError as error:
        raise YamlWrong(str(error).splitlines()[0]) from error
    except ValueError as error:
        raise YamlWrong(str(error)) from error


def dump_yaml(document: Any) -> str:
    """A document as YAML; what another reader would take for something else is in quotes."""
    text: str = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return text

"""The command line in the language of the shell: sentences of the commands, and the help of a tree of commands."""

from __future__ import annotations

import copy
import inspect
import os
from collections.abc import Iterator
from typing import Any

import click

from service import wording
from service.core.errors import AccordError, Explained


def language() -> str:
    """The language that LC_ALL, LC_MESSAGES or LANG name."""
    return wording.from_environment(os.environ)


def tell(english: str, **params: Any) -> str:
    """A sentence of a command."""
    return wording.text(english, language(), **params)


def tell_count(one: str, many: str, number: int, **params: Any) -> str:
    """A sentence that depends on a number, which stands in it as `{number}`."""
    return wording.count(one, many, number, language(), **params)


def explain(error: Explained | AccordError) -> str:
    """What an error says."""
    if isinstance(error, Explained):
        return tell(error.sentence, **error.params)
    return wording.say(error.code, error.params, language()).message


class Group(click.Group):
    """A group of commands whose help is in the language of the shell.

    What click itself says ("Usage", "Options", a wrong option) stays English: click has no catalogues.
    """

    def main(self, *args: Any, **extra: Any) -> Any:
        told = _translated(self)
        assert isinstance(told, click.Group)
        return click.Group.main(told, *args, **extra)


def help_texts(command: click.Command) -> Iterator[str]:
    """Every English text in the help of a command and those below it."""
    yield from _paragraphs(command)
    yield from (text for parameter in command.params if (text := getattr(parameter, "help", None)))
    if isinstance(command, click.Group):
        for below in command.commands.values():
            yield from help_texts(below)


def _paragraphs(command: click.Command) -> list[str]:
    text = inspect.cleandoc(command.help or "")
    return [" ".join(paragraph.split()) for paragraph in text.split("\n\n") if paragraph]


def _translated(command: click.Command) -> click.Command:
    """A copy with other texts: the commands themselves stay as they are, for the next reader."""
    told = copy.copy(command)
    if command.help:
        told.help = "\n\n".join(tell(paragraph) for paragraph in _paragraphs(command))
    told.params = [_parameter(parameter) for parameter in command.params]
    if isinstance(told, click.Group):
        told.commands = {name: _translated(below) for name, below in told.commands.items()}
    return told


def _parameter(parameter: click.Parameter) -> click.Parameter:
    if not isinstance(parameter, click.Option) or not parameter.help:
        return parameter
    told = copy.copy(parameter)
    told.help = tell(parameter.help)
    return told

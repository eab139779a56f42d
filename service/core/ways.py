"""A field mapping in one direction: what becomes of a value of one field on its way to the other.

Parts that are joined into a text have to be found in it again. Where a composite field flows both ways, a value whose
parts would come back as other ones is refused: an edit of one part would be written over another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from service.core.compare import Unconvertible, coerce, equal
from service.core.composites import parted
from service.core.failures import Failure
from service.core.records import Field, FieldType, Scalar
from service.core.transforms import Chain, Step, chain


@dataclass(frozen=True, slots=True)
class Way:
    """What is done to values of `source` before they are written to `target`. `back`: what is done to them on the way
    back, None where they do not flow back."""

    source: Field
    target: Field
    steps: tuple[Step, ...]
    back: tuple[Step, ...] | None = None

    def chain(self) -> Chain:
        """The steps, bound; what is refused is refused by the function."""
        made = chain(self.steps, self.source, self.target)
        composite = FieldType.LIST in (self.source.type, self.target.type)
        if self.back is None or not composite or self.source.type is self.target.type:
            return made
        return Chain(_careful(self, made), self.target.type)

    def bound(self) -> Callable[[Scalar], Scalar]:
        """What the target is to hold for a value; raises Unconvertible."""
        return _written(self.chain(), self.target)


def _written(made: Chain, target: Field) -> Callable[[Scalar], Scalar]:
    function = made.function

    def write(value: Scalar) -> Scalar:
        return coerce(value if function is None else function(value), made.type, target)

    return write


def _careful(way: Way, made: Chain) -> Callable[[Scalar], Scalar]:
    """What the target is to hold; refuses a value whose parts do not come back."""
    there = _written(made, way.target)
    back = _written(chain(way.back or (), way.target, way.source), way.source)
    joins = way.source.type is FieldType.LIST
    composite = way.source if joins else way.target

    def careful(value: Scalar) -> Scalar:
        held = there(value)
        parts, returned = (value, back(held)) if joins else (held, there(back(held)))
        if not equal(parts, returned):
            raise Unconvertible(_failure(composite, parts, returned))
        return held

    return careful


def _failure(composite: Field, parts: Scalar, returned: Scalar) -> Failure:
    """Why a value is refused: the first part that would be another one."""
    before, after = (parted(value, len(composite.parts)) for value in (parts, returned))
    changed = (place for place, (one, other) in enumerate(zip(before, after, strict=True)) if not equal(one, other))
    place = next(changed, 0)
    part = composite.parts[place].name
    said = {"part": part, "held": _told(before[place]), "back": _told(after[place])}
    return Failure("value_rejected", {"field": composite.name, "rule": "parts_change", **said}, (composite.name, part))


def _told(value: Scalar) -> str:
    """A value as a sentence quotes it, which shows an empty one too."""
    return f"“{'' if value is None else value}”"

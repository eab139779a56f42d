"""What is decided about many pairs at one look is what would be decided about each by itself."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import event, given
from hypothesis import strategies as st

from service.core.compare import Unconvertible
from service.core.decide import Pair, decide, decide_all_first
from service.core.flow import NOTHING_KNOWN, Coupled, Known, remember
from service.core.outcomes import Outcome
from service.core.records import Record, Side
from tests.core.pairs import Situation, situations, wanted

UNSYNCHRONIZED = Coupled(0, dict.fromkeys(Side, "1"), dict.fromkeys(Side, NOTHING_KNOWN))


def given_to(situation: Situation, source: Side) -> Record:
    """The destination as it would be if it held all that the source's lines want it to."""
    flow, record = situation.flows[source], situation.records[source]
    values = list(situation.records[source.other].values)
    for line in flow.lines:
        value = wanted(flow, line, record)
        if not isinstance(value, Unconvertible):
            values[line.destination] = value
    return replace(situation.records[source.other], values=tuple(values))


@given(situation=situations(), source=st.sampled_from(list(Side)))
def test_first_couplings_of_a_page_are_decided_as_each_by_itself(situation: Situation, source: Side) -> None:
    equal, other = given_to(situation, source), situation.records[source.other]
    blank = replace(equal, values=tuple(f"{value} " if isinstance(value, str) else value for value in equal.values))
    record = situation.records[source]
    for partners in ([equal], [other], [blank], [equal, other, blank]):
        pairs = [Pair(source, record, UNSYNCHRONIZED, partner, past=True) for partner in partners]
        found = decide_all_first(situation.mapping, situation.flows, source, pairs)
        assert found == [decide(situation.mapping, situation.flows, pair) for pair in pairs]
        event(str(found[0].do))


@given(situation=situations(), source=st.sampled_from(list(Side)), past=st.booleans())
def test_of_a_pair_that_is_as_it_was_left_nothing_changes(situation: Situation, source: Side, past: bool) -> None:
    """That is why a run that reads everything only counts such pairs."""
    records = situation.records
    known = {
        side: Known(records[side].modified_on, None, situation.flows[side].base_of(records[side])) for side in Side
    }
    left = replace(situation, coupled=replace(situation.coupled, known=known))
    if not situation.flows[source].lines:
        return
    found = left.decide(source, past=past)
    assert (found.outcome, dict(found.writes), found.failure, found.waits) == (Outcome.UNCHANGED, {}, None, ())
    for side in Side:
        assert remember(left.flows[side], records[side], known[side], found.agreed, echo=False) == known[side]

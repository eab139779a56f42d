"""Matching by normal forms: what couples, what does not, and how sure it is on data of which the truth is known."""

from pathlib import Path
from typing import Any

import pytest

from service.core.errors import Invalid
from service.engine.task import Stop
from service.operations import couplings, execution, runs
from service.operations.context import Context
from service.store import couplings as store
from service.worker import run_until_idle
from tests.companies import KEYS, NOISE, PLAIN, Truth, map_companies, write
from tests.world import World, errors, new_context, records, tally

NAME: dict[str, Any] = {
    "local_field": "name",
    "integration_field": "name",
    "match_key": 1,
    "normalize": ["legalForms", "accents", "case", "punctuation"],
}
LINES: list[dict[str, Any]] = [
    NAME,
    {"local_field": "number", "integration_field": "accountnumber", "match_key": 2},
    {"local_field": "city", "integration_field": "address1_city"},
]


def test_records_that_are_written_differently_are_coupled(world: World) -> None:
    world.map(LINES, update_conflict_resolution="sendUpdateToIntegration")
    one = world.add("local", name="Ødegård AS")
    two = world.add("local", name="Someone else", number="7")
    world.add("integration", accountid="a", name="ODEGARD a/s")
    world.add("integration", accountid="b", name="Nobody", accountnumber="7")
    before = world.stamps()
    run = world.run("match")
    assert (run.status, tally(run, "toIntegration")) == ("succeeded", {"read": 2, "coupled": 2})
    assert (world.partner("local", one), world.partner("local", two)) == ("a", "b"), "each priority on its own"
    assert world.stamps() == before
    world.run()
    assert (world.get("integration", "a") or {})["name"] == "Ødegård AS", "what differs is settled by the policy"


def test_forms_that_several_records_have_couple_nobody(world: World) -> None:
    world.map(LINES)
    for name in ("Acme Ltd", "Acme Inc.", "Bolt AS"):
        world.add("local", name=name)
    for key, name in (("a", "ACME"), ("b", "Bolt"), ("c", "bolt a/s")):
        world.add("integration", accountid=key, name=name)
    run = world.run("match")
    assert tally(run, "toIntegration") == {"read": 3, "failed": 3}
    assert {error.code for error in errors()} == {"ambiguous_match"}
    found = [(error.params["candidates"], error.params["rivals"]) for error in errors()]
    assert found == [(["a"], ["2"]), (["a"], ["1"]), (["b", "c"], [])]
    assert couplings.list_couplings(mapping_id=world.mapping_id, limit=9) == []


def test_a_record_that_is_coupled_or_left_alone_is_no_match(world: World) -> None:
    world.map(LINES)
    first, second = world.add("local", name="Something else"), world.add("local", name="Bolt AS")
    world.add("integration", accountid="a", name="bolt")
    made = couplings.create(world.context, world.mapping_id, first, "a", "anna")
    run = world.run("match")
    assert tally(run, "toIntegration") == {"read": 1, "failed": 1}
    assert errors()[-1].params["candidates"] == ["a"]
    couplings.delete(world.context, made.id, "anna")
    world.run("match")
    assert world.partner("local", second) is None


def test_a_dry_run_shows_what_would_be_coupled(world: World) -> None:
    world.map(LINES, update_conflict_resolution="sendUpdateToIntegration")
    one = world.add("local", name="Ødegård AS")
    world.add("integration", accountid="a", name="odegard")
    run = world.run("match", dry_run=True)
    assert [(item.source_key, item.destination_key, item.outcome) for item in records(run)] == [(one, "a", "coupled")]
    assert couplings.list_couplings(mapping_id=world.mapping_id, limit=9) == []


def test_a_full_run_does_not_double_what_is_written_differently(world: World) -> None:
    world.map(LINES, update_conflict_resolution="sendUpdateToIntegration")
    world.add("local", name="Ødegård AS")
    world.add("local", name="New AS")
    world.add("integration", accountid="a", name="odegard")
    run = world.run("full")
    assert tally(run, "toIntegration") == {"read": 2, "coupled": 1, "inserted": 1}
    assert len(world.all("integration")) == 2


def test_each_side_is_compared_in_the_terms_of_the_other(world: World) -> None:
    """What is transformed on its way is found from the second side as well: several could be it, and none is made."""
    number = {
        **LINES[1],
        "match_key": 1,
        "normalize": ["case"],
        "transforms": {"toIntegration": [{"pad": {"length": 5}}]},
    }
    world.map([number, {**NAME, "match_key": None, "normalize": []}])
    world.add("local", number="12a", name="One")
    for key in "xy":
        world.add("integration", accountid=key, accountnumber="0012A", name="One")
    run = world.run("full")
    assert tally(run, "toIntegration") == {"read": 1, "failed": 1}
    assert tally(run, "fromIntegration") == {"read": 2, "failed": 2}
    assert (len(world.all("local")), len(world.all("integration"))) == (1, 2)


@pytest.mark.parametrize("kind", ["match", "full", "modified"])
def test_what_several_could_be_is_not_made_by_the_runs_that_follow(world: World, kind: str) -> None:
    """Ordinary runs ask for the values as they are, of which these records have no other: they would be there twice."""
    world.map(LINES)
    world.add("local", name="Bolt AS")
    for key, name in (("b", "Bolt"), ("c", "bolt a/s")):
        world.add("integration", accountid=key, name=name)
    world.run(kind)
    for _ in range(3):
        world.run()
    for item in world.skips():
        world.resolve(item, "retry")
        world.run()
    assert {item.reason for item in world.skips()} == {"ambiguous"}
    assert (len(world.all("local")), len(world.all("integration"))) == (1, 2)
    new = world.add("local", name="Something else AS")
    world.run()
    assert world.partner("local", new) is not None


def test_a_worker_that_takes_over_makes_the_index_anew(world: World) -> None:
    world.map(LINES, update_conflict_resolution="sendUpdateToIntegration")
    for number in range(12):
        world.add("local", name=f"Företag {number} AB")
        world.add("integration", accountid=f"{number:02}", name=f"FORETAG {number}")
    run = runs.start(world.context, runs.RunRequest(world.mapping_id, "match"), "test")
    pages = iter([None, None, None, None, None, None, None, Stop.HAND_OVER])
    lease = execution.claim(world.context, "first")
    assert lease is not None
    execution.carry_out(world.context, lease, lambda: next(pages), lambda _: None, page_size=5)
    assert 0 < store.count(world.mapping_id) < 12, "it stopped in the middle"
    run_until_idle(world.context)
    assert runs.get(run.id).status == "succeeded"
    assert store.count(world.mapping_id) == 12


def test_mistakes_in_normalizations_are_named(world: World) -> None:
    city = {"local_field": "city", "integration_field": "address1_city", "normalize": ["case"]}
    with pytest.raises(Invalid) as refused:
        world.map([{**NAME, "normalize": ["sound"]}, city])
    assert [(problem.pointer, problem.code) for problem in refused.value.problems] == [
        ("/fieldMappings/0/normalize/0", "normalization_unknown"),
        ("/fieldMappings/1/normalize", "normalization_without_match_key"),
    ]


def test_what_has_no_match_can_be_created_and_pairs_synchronized(world: World) -> None:
    world.map(LINES, update_conflict_resolution="sendUpdateToIntegration", synch_only_coupled_records=True)
    world.add("local", name="Ødegård AS", city="Oslo")
    world.add("local", name="New AS")
    for name in ("Acme Ltd", "Acme Inc."):
        world.add("local", name=name)
    world.add("integration", accountid="a", name="odegard")
    world.add("integration", accountid="b", name="acme")
    world.run("match", synchronize=True)
    assert (world.get("integration", "a") or {})["address1_city"] == "Oslo"
    assert len(world.all("integration")) == 2, "only pairs are synchronized"
    world.run("match", create_unmatched=True)
    assert sorted(row["name"] for row in world.all("integration")) == ["New AS", "acme", "Ødegård AS"]
    assert len(world.all("local")) == 4
    assert {error.code for error in errors(status="open")} == {"ambiguous_match"}, "what is not sure is not created"


def test_a_dry_match_is_followed_by_nothing(world: World) -> None:
    world.map(LINES)
    world.add("local", name="New AS")
    world.run("match", dry_run=True, create_unmatched=True)
    assert world.all("integration") == []


@pytest.fixture
def context() -> Context:
    return new_context()


def coupled_by_matching(context: Context, folder: Path, truth: Truth, plain: bool = False) -> dict[str, str]:
    mapping_id = map_companies(context, write(folder, truth), PLAIN if plain else KEYS)
    run = runs.start(context, runs.RunRequest(mapping_id, "match"), "test")
    run_until_idle(context)
    assert runs.get(run.id).status in ("succeeded", "completedWithErrors")
    found = [pair.keys for pair in store.page(mapping_id, 0, 100_000)]
    pairs = {keys["local"]: keys["integration"] for keys in found}  # type: ignore[index]
    assert len(pairs) == len(set(pairs.values())) == len(found), "nobody is coupled twice"
    return pairs


@pytest.mark.parametrize("state", ["sqlite"], indirect=True)
@pytest.mark.parametrize("level", range(6))
def test_how_sure_matching_is(
    state: str, context: Context, tmp_path: Path, level: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nine of ten of 2,000 companies are known to both; some share a name or a telephone with others."""
    truth = Truth(2000, level, seed=level)
    precision, recall = truth.judge(coupled_by_matching(context, tmp_path, truth))
    noise = NOISE[level - 1] if level else "no noise"
    with capsys.disabled():
        print(f"\nmatching with {noise}: precision {precision:.4f}, recall {recall:.4f}")
    assert precision >= 0.999
    assert recall >= (0.98, 0.98, 0.98, 0.97, 0.97, 0.85)[level]


@pytest.mark.parametrize("state", ["sqlite"], indirect=True)
def test_without_normal_forms_noise_finds_little(state: str, context: Context, tmp_path: Path) -> None:
    truth = Truth(300, 4, seed=1)
    _, recall = truth.judge(coupled_by_matching(context, tmp_path, truth, plain=True))
    assert recall < 0.1, "otherwise the noise would prove nothing"

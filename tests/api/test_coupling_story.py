"""The history of a pair and why it is not synchronized now, as callers see them."""

from tests.api.world import World


def test_history_and_explanation_of_a_pair(lively: World) -> None:
    coupling = lively.get("/couplings")["items"][0]
    story = lively.get(f"/couplings/{coupling['id']}/history")
    assert story["items"][-1]["outcome"] in ("inserted", "coupled")
    why = lively.get(f"/couplings/{coupling['id']}/explain")
    assert why["couplingId"] == coupling["id"]
    assert all(reason["message"] for reason in why["reasons"])


def test_a_mapping_says_since_when_somebody_is_waited_for(lively: World) -> None:
    for mapping in lively.get("/mappings")["items"]:
        status = mapping["status"]
        assert (status["oldestSkippedAt"] is not None) is (status["openSkipped"] > 0)

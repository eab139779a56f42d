"""Keys that we choose for new records."""

from itertools import pairwise

from service.core.records import Side
from tests.world import World


def test_each_is_greater_than_those_that_were_made_before(world: World) -> None:
    world.map()
    keys = [world.add("local", number=f"{number:02}", name="One") for number in range(30)]
    world.run()
    keys += [world.add("local", number=f"{number:02}", name="Two") for number in range(30, 40)]
    world.run()
    made = [world.partner(Side.LOCAL, key) for key in keys]
    assert all(one is not None and other is not None and one < other for one, other in pairwise(made))

"""How a study is cut: every family and level once, every trial once, whoever searches."""

import dataclasses
import itertools

import pytest

from dse.search import islands, settings
from dse.search.space import FAMILY, SERVE_LEVEL
from dse.specs import library
from dse.specs.errors import SpecError
from tests.search.conftest import STUDY


@pytest.fixture(scope="module")
def two_goals():
    return settings.read("two-goals", trials=1000)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 16])
def test_islands_cover_every_family_and_level_once(two_goals, count):
    found = islands.cut(two_goals, count)
    assert [island.number for island in found] == list(range(count))
    for family in two_goals.space.families:
        parts = sorted(i.levels for i in found if family.name in i.families)
        assert parts[0][0] == 0.0
        assert parts[-1][1] == 1.0
        assert all(a[1] == b[0] for a, b in itertools.pairwise(parts))
    shares = [islands.trials_of(island, count, 1000) for island in found]
    assert sum(shares) == 1000
    assert max(shares) - min(shares) <= 1


def test_an_island_draws_only_its_own(two_goals):
    island = islands.cut(two_goals, 8)[1]
    part = islands.settings_of(two_goals, island, 8)
    assert part.search.seed == two_goals.search.seed + 1
    assert [f.name for f in part.space.families] == list(island.families)
    low, high = island.levels
    level = part.space.distributions()[SERVE_LEVEL]
    assert (level.low, level.high) == (low, high)
    assert set(part.space.distributions()) <= set(two_goals.space.distributions())
    (family,) = part.space.families
    parameters = part.space.start_parameters(family, 0.0)
    assert set(parameters) == set(part.space.distributions())
    assert parameters[SERVE_LEVEL] == low
    assert part.space.values_of(parameters)[0] is family


def test_an_island_of_some_combinations_of_choices_draws_no_other(tmp_path):
    text = STUDY.replace(
        '"voltage" = ["0.50 V", "0.90 V"]',
        """"voltage" = ["0.50 V", "0.90 V"]
"logic" = { choices = ["n3", "n4"] }
"cooling" = { choices = ["air", "cold_plate"] }""",
    )
    file = tmp_path / "choices.toml"
    file.write_text(text)
    library.forget()
    read = settings.read(str(file))
    assert len(read.space.families) == 4
    for island in islands.cut(read, 3):
        space = islands.settings_of(read, island, 3).space
        names = space.distributions().get(FAMILY)
        assert (names.choices if names else (space.families[0].name,)) == island.families
        for family in space.families:
            drawn = space.start_parameters(family, 0.5)
            assert space.values_of(drawn)[0].name == family.name


def test_one_island_is_the_study(two_goals):
    (island,) = islands.cut(two_goals, 1)
    part = islands.settings_of(two_goals, island, 1)
    assert part.space.distributions() == two_goals.space.distributions()
    assert part.search == two_goals.search


def test_more_islands_than_trials_are_refused(two_goals):
    search = dataclasses.replace(two_goals.search, trials=3)
    with pytest.raises(SpecError, match="4 islands"):
        islands.cut(dataclasses.replace(two_goals, search=search), 4)


def test_usually_one_island_for_each_family_and_for_each_worker(two_goals):
    assert islands.usual_count(two_goals, 1) == 4
    assert islands.usual_count(two_goals, 6) == 6

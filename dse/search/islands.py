"""Islands: a study cut into parts that are searched apart, each by one worker at a time.

An island is some families of the study and a part of their fronts, with a seed and a share of the
trials of its own. The cut depends on the study and on how many islands there are, not on who
searches them: any number of workers finds the same designs, and none finds those of another.
"""

import dataclasses
from typing import NamedTuple

from dse.search.settings import Settings
from dse.specs.schema import SpecError

LEAST_POPULATION = 20  # of an island, unless the study's is smaller
AT_ONCE = 8  # islands of a study of many families, so that hopeless ones still meet better ones


class Island(NamedTuple):
    """One part of a study."""

    number: int
    families: tuple[str, ...]
    levels: tuple[float, float]  # shares of the range of the first goal


def usual_count(settings: Settings, workers: int) -> int:
    """One island for each family as far as that is sensible, and at least one for each worker."""
    return max(workers, min(len(settings.space.families), AT_ONCE))


def cut(settings: Settings, count: int) -> list[Island]:
    """The islands of a study.

    Families are dealt out one by one; where there are more islands than families, the islands of a
    family share its front. Raises `SpecError` where there are more islands than trials.
    """
    names = [family.name for family in settings.space.families]
    if count > settings.search.trials:
        raise SpecError("--trials", [f"{settings.search.trials}: {count} islands need at least one "
                                     "trial each"])  # fmt: skip
    if count <= len(names):
        return [Island(k, tuple(names[k::count]), (0.0, 1.0)) for k in range(count)]
    found: list[Island] = []
    for index, name in enumerate(names):
        parts = len(range(index, count, len(names)))
        for part in range(parts):
            levels = (part / parts, (part + 1) / parts)
            found.append(Island(len(found), (name,), levels))
    return found


def trials_of(island: Island, count: int, total: int) -> int:
    """An island's share of the study's trials."""
    return total // count + (island.number < total % count)


def settings_of(settings: Settings, island: Island, count: int) -> Settings:
    """The study as one island sees it: its part of the space, its trials, its seed.

    The population is dealt out too: all islands together breed as many at once as one search does.
    """
    population = settings.search.population
    search = dataclasses.replace(
        settings.search,
        seed=settings.search.seed + island.number,
        trials=trials_of(island, count, settings.search.trials),
        population=max(-(-population // count), min(population, LEAST_POPULATION)),
    )
    space = settings.space.part(island.families, island.levels)
    return dataclasses.replace(settings, space=space, search=search)

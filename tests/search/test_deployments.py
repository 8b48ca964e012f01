import jax
import numpy as np
import pytest

from dse.estimate import prepare
from dse.estimate.prepare import Choices
from dse.search import deployments
from dse.specs.errors import SpecError

VALUES = {"batch": (1, 64), "tp": (1, 8, 128), "pp": (1, 4), "weights": ("fp8", "nvfp4")}


@pytest.fixture(scope="module")
def grid(chip, model):
    given = chip("sram_macro_stacked_n3"), model("llama-3.1-70b")
    return deployments.grid(*given, _workload(), VALUES)


def _workload():
    from dse.specs import load

    return load.load("workloads", "chat-8k").spec


def test_impossible_splits_are_dropped(grid):
    assert {choice.tp for choice in grid.choices} == {1, 8}  # 64 heads do not split over 128
    assert len(grid) == 2 * 2 * 2 * 2


def test_bounds_known_beforehand_drop_points(chip, model):
    given = chip("sram_macro_stacked_n3"), model("llama-3.1-70b"), _workload(), VALUES
    few = deployments.grid(*given, {"chips": 4, "batch": 1})
    assert set(few.columns.batch) == {1}
    assert few.columns.chips.max() <= 4


def test_equal_points_are_kept_once(chip, model):
    values = {"batch": (1,), "tp": (8,), "micro_batches": (None, 1)}
    given = chip("sram_macro_stacked_n3"), model("llama-3.1-70b"), _workload()
    assert len(deployments.grid(*given, values)) == 1


def test_nothing_possible_is_refused(chip, model):
    given = chip("sram_macro_stacked_n3"), model("llama-3.1-70b"), _workload()
    with pytest.raises(SpecError, match="no possible split"):
        deployments.grid(*given, {"tp": (3,)})


@pytest.mark.parametrize(
    "name", ["sram_macro_stacked_n3", "sram_macro_n3", "reticle_n3_hbm4", "reticle_n3_stacked"]
)
def test_placement_is_the_one_of_a_single_chip(name, chip, model):
    hardware, network, workload = chip(name), model("llama-3.1-70b"), _workload()
    grid = deployments.grid(hardware, network, workload, VALUES)
    with jax.enable_x64(True):
        placed = deployments.placed(hardware, grid.columns, grid.weights_bytes)
        for index in range(0, len(grid), 3):
            alone, _ = prepare.deploy(hardware, network, workload, grid.choices[index])
            for what in ("weights_in", "kv_in"):
                for tier, share in getattr(alone, what).items():
                    column = np.broadcast_to(getattr(placed, what)[tier], (len(grid),))
                    assert column[index] == pytest.approx(share, rel=1e-12, abs=1e-12)


def test_columns_hold_what_each_choice_says(grid):
    for index, choice in enumerate(grid.choices):
        assert grid.columns.batch[index] == choice.batch
        assert grid.columns.tp[index] == choice.tp
    assert isinstance(grid.choices[0], Choices)


# --- large grids, pruned --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["llama-3.1-70b", "kimi-k2.5"])
def test_what_can_exist_is_told_in_arrays_as_in_words(name, chip, model):
    network, workload = model(name), _workload()
    values = {"batch": (1, 6, 64), "tp": (1, 3, 8, 128), "dp": (1, 3), "pp": (1, 4, 100),
              "ep": (1, 8, 512), "micro_batches": (None, 1, 4)}  # fmt: skip
    size = int(np.prod([len(v) for v in values.values()]))
    every = deployments.Combinations(values, np.arange(size))
    good = set(deployments._possible(every, [(network, workload)], {}))
    assert 0 < len(good) < size
    for row in range(0, size, 7):
        made, _ = prepare.unplaced(chip("reticle_n3_hbm4"), network, workload, every[row])
        assert (made is not None) == (row in good)


def test_columns_are_those_of_each_deployment_alone(chip, model):
    """Skews and formats are made once per group of combinations that share them."""
    values = {"batch": (4, 64), "tp": (1, 8), "dp": (1, 4), "pp": (1, 4), "ep": (1, 8),
              "micro_batches": (None, 2), "weights": ("fp8", "nvfp4"),
              "kv": ("fp8", "bf16")}  # fmt: skip
    given = chip("reticle_n3_hbm4"), model("kimi-k2.5"), _workload()
    grid = deployments.grid(*given, values)
    for point in range(0, len(grid), 5):
        alone, _ = prepare.unplaced(*given, grid.choices[point])
        column = jax.tree.map(lambda leaf, at=point: float(leaf[at]), grid.columns)
        assert jax.tree.leaves(column) == jax.tree.leaves(alone)


def test_neighbors_differ_in_one_choice_by_one_step(grid):
    for point, choice in enumerate(grid.choices):
        for near in grid.choices.neighbors(point):
            other = grid.choices[near]
            places = [[values.index(getattr(c, name)) for name, values in VALUES.items()]
                      for c in (choice, other)]  # fmt: skip
            assert np.abs(np.subtract(*places)).sum() == 1


def test_points_that_fit_no_chip_are_dropped_and_no_others(chip, model):
    given = chip("sram_macro_n3"), model("llama-3.1-70b"), _workload(), VALUES
    every = deployments.grid(*given)
    weights, cache = deployments._resident_bytes(*given[1:3], every.columns)
    room = float(np.median(weights + cache))
    fewer = deployments.grid(*given, {"bytes": room})
    assert [c for c, f in zip(every.choices, weights + cache <= room, strict=True) if f] == list(
        fewer.choices)  # fmt: skip
    assert len(deployments.grid(*given, {"bytes": 1.0})) == 1  # the lightest, to say so


def test_a_grid_of_a_hundred_thousand_is_made_in_arrays(chip, model):
    powers = tuple(2**i for i in range(10))
    values = {"batch": powers, "tp": powers[:7], "kvp": powers[:4], "dp": powers[:4],
              "pp": powers[:5], "micro_batches": powers[:9], "weights": ("bf16", "fp8", "nvfp4"),
              "kv": ("fp8", "bf16")}  # fmt: skip
    given = chip("reticle_n3_hbm4"), model("llama-3.1-70b"), _workload()
    grid = deployments.grid(*given, values)
    assert len(grid) > 100_000
    assert grid.columns.chips.shape == grid.weights_bytes.shape == (len(grid),)


def test_too_many_combinations_are_refused(chip, model):
    values = {name: tuple(range(1, 30)) for name in ("batch", "tp", "dp", "pp", "ep")}
    with pytest.raises(SpecError, match="combinations; at most"):
        deployments.grid(chip("reticle_n3_hbm4"), model("llama-3.1-70b"), _workload(), values)


@pytest.mark.parametrize("name", ["reticle_n3_hbm4", "reticle_n3_stacked", "sram_macro_n3"])
def test_no_design_of_a_family_holds_more_than_its_bound(name):
    from dse.resources import memory
    from dse.search import batch, settings

    family = settings.read("two-goals").space.by_name[name]
    shares = np.random.default_rng(0).uniform(size=(500, len(family.axes)))
    shares = np.concatenate([shares, shares.round()])
    with jax.enable_x64(True):
        hardware = family.with_values(list(family.from_unit_cube(shares).T))
        tiers = [memory.provide(n, tier, hardware) for n, tier in hardware.memory.items()]
        held = np.asarray(sum(tier.capacity_bytes for tier in tiers))
    most = batch.most_bytes(family)
    assert held.max() <= most * (1 + 1e-9)
    assert held.max() > 0.5 * most

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

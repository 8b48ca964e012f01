"""Branches against the model: some branch holds each design, and none lies above it."""

import jax
import numpy as np
import pytest

from dse.search import certify, confirm
from dse.search.batch import Evaluator
from dse.search.branches import joined
from dse.search.convex import ConvexForm
from tests.search.conftest import read_study

# A chip whose weights may lie in SRAM, in DRAM, or in both; groups of several sizes.
STUDY = """
name = "spilling"
hardware = ["sram_macro_stacked_n3", "reticle_n3_hbm4"]
model = "llama-3.1-8b"
workload = "chat-8k"

[space]
knobs = "default"
hold = ["dies", "on_chip.dependent_cycles"]

[space.hardware]
"memory.dram.layers" = [1, 8]
"memory.hbm.stacks" = [1, 8]

[space.deployment]
batch = [4, 64]
tp = [2, 8]
kvp = [1, 4]
dp = [1, 4]
micro_batches = [1, 4]
"""
SPLITS = 10  # that take the longest branch to its end
FITS = ("floorplan", "junction", "idle_power", "sram_voltage", "minimum_voltage")


@pytest.fixture(scope="module")
def forms(tmp_path_factory):
    read = read_study(tmp_path_factory.mktemp("spilling"), STUDY)
    return {f.name: ConvexForm(Evaluator(f, read)) for f in read.space.families}


def rows_below(form, branch, x, allowed):
    """Which branches hold a design, with no goal and no limit above the model's."""
    values = form.values(np.tile(x, (len(branch.point), 1)), branch)
    inside = ((branch.low <= x + 1e-9) & (x <= branch.high + 1e-9)).all(axis=1)
    return np.flatnonzero(inside & (values <= allowed + 1e-5).all(axis=1))


def drawn(form, rng):
    """A random chip, as a place of the form and as the model sees it on every deployment."""
    family = form.evaluator.family
    start = family.unit_cube(np.array([family.start]))
    shares = start + rng.uniform() * (rng.uniform(size=start.shape) - start)
    values = family.from_unit_cube(shares)[0]
    hardware = confirm.hardware_of(family, values)
    estimate = confirm.on_grid(hardware, form.evaluator.grid, form.evaluator.settings)
    return certify.knobs_of(form, values), estimate


def designs(form, count, seed):
    """Places, deployments and what the model makes of designs that hold their parts and heat."""
    rng = np.random.default_rng(seed)
    size, found = len(form.evaluator.grid), []
    while len(found) < count:
        knobs, estimate = drawn(form, rng)
        with jax.enable_x64(True):
            limits = estimate.limits.items()
            used = {name: confirm.column(limit.margin, size) for name, limit in limits}
        good = np.flatnonzero(np.all([used[name] <= 0 for name in FITS if name in used], axis=0))
        for point in rng.permutation(good)[:6]:
            pace = np.log(confirm.column(estimate.step_s, size)[point])
            joules = np.log(confirm.column(estimate.j_per_token, size)[point])
            limits = {name: np.log(max(column[point] + 1, 1e-3)) for name, column in used.items()}
            found.append((np.append(knobs, pace), int(point), joules, limits))
    return found


@pytest.mark.parametrize("name", ["sram_macro_stacked_n3", "reticle_n3_hbm4"])
def test_some_branch_holds_each_design_down_to_the_last_split_and_is_never_above_it(forms, name):
    form = forms[name]
    rng, missed = np.random.default_rng(1), []
    for x, point, joules, limits in designs(form, 16, 0):
        branch = form.roots(0.0, np.array([point]))
        form.values(np.tile(x, (len(branch.point), 1)), branch)  # names the limits
        allowed = np.array([joules, *(limits.get(n, 0.0) for n in form.limit_names)])
        for _ in range(SPLITS):
            branch = branch.of(rows_below(form, branch, x, allowed))
            assert len(branch.point) > 0
            branch = joined([one_split(form, branch.of([i]), x, rng)
                             for i in range(len(branch.point))])  # fmt: skip
        branch = branch.of(rows_below(form, branch, x, allowed))
        values = form.values(np.tile(x, (len(branch.point), 1)), branch)
        missed.append(allowed[0] - values[:, 0].max())
    # What is left is the leakage of bare silicon and the refresh of memory that is not used.
    assert np.median(missed) < 0.05
    assert max(missed) < 0.2


def one_split(form, branch, x, rng):
    """A branch split one way, drawn at random; itself where nothing is left to split."""
    ways = form.splitter.splits(branch, x)
    return ways[rng.integers(len(ways))] if ways else branch


def test_the_radixes_tried_are_all_that_matter(forms):
    """Below any radix lies one tried that takes no more stages in any group: 6 x 6 reach 32."""
    splitter = forms["sram_macro_stacked_n3"].splitter
    choices = splitter.evaluator.grid.choices
    for point in range(len(choices)):
        at = choices[point]
        groups = np.array([2, at.kvp, at.tp * at.kvp, at.tp * at.kvp * at.dp])
        tried = splitter.radixes(point)
        for radix in range(4, 291):
            below = max(r for r in tried if r <= radix)
            assert (stages(groups, below) == stages(groups, radix)).all()
    at_32 = next(i for i in range(len(choices)) if choices[i].tp * choices[i].kvp == 32)
    assert {4.0, 6.0, 32.0} <= set(splitter.radixes(at_32))


def stages(groups, radix):
    return np.ceil(np.log(groups) / np.log(radix) - 1e-5)


def test_what_spills_lies_below_what_does_not_fit(forms):
    """Between two shares a power lies below ``1 - share`` and meets it at both; at 1 it is zero."""
    branch = forms["sram_macro_stacked_n3"].roots(0.0, np.array([0]))
    branch = branch.of(np.flatnonzero(branch.linked)[[0, 0]])
    branch = branch.with_(least=[0.2, 0.9], most=[0.9, 1.0])
    factor, power = branch.spilling
    share = np.linspace(0.2, 0.9, 15)
    spilt = factor[0] * share ** power[0]
    assert (spilt <= 1 - share + 1e-12).all()
    assert spilt[[0, -1]] == pytest.approx([0.8, 0.1])
    assert factor[1] == 0

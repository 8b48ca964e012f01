"""Batches over two devices: the same numbers as on one, each device with half of the designs."""

import os
import subprocess
import sys

import numpy as np
import pytest

from dse.search import devices

SCRIPT = """
import sys
import jax, numpy as np
from dse.search import batch, devices, settings

assert devices.count() == 2
evaluator, = batch.evaluators(settings.read(sys.argv[1])).values()
designs = np.load(sys.argv[2])
outcome = evaluator(designs)
column = devices.spread(np.zeros((3, 64), np.float32))
assert len(column.sharding.device_set) == 2
assert column.addressable_shards[0].data.shape == (3, 32)
assert len(devices.spread(np.zeros(3)).shape) == 1
np.savez(sys.argv[3], user=outcome.goals[0], margin=outcome.limit_margin)
"""


@pytest.fixture(scope="module")
def designs(runner):
    (evaluator,) = runner.evaluators(runner.settings).values()
    family = evaluator.family
    return family.from_unit_cube(np.random.default_rng(5).uniform(size=(70, len(family.axes))))


def test_two_devices_find_what_one_finds(runner, designs, study_file, tmp_path):
    (evaluator,) = runner.evaluators(runner.settings).values()
    given, found = tmp_path / "designs.npy", tmp_path / "found.npz"
    np.save(given, designs)
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=2"
    subprocess.run([sys.executable, "-W", "error", "-c", SCRIPT, study_file, given, found],
                   env={**os.environ, "XLA_FLAGS": flags}, check=True)  # fmt: skip
    one, two = evaluator(designs), np.load(found)
    np.testing.assert_allclose(two["user"], one.goals[0], rtol=1e-6)
    np.testing.assert_allclose(two["margin"], one.limit_margin, rtol=1e-5, atol=1e-6)


def test_one_device_leaves_columns_alone():
    if devices.count() > 1:
        pytest.skip("this machine has several devices")
    column = np.zeros((3, 64), np.float32)
    assert devices.spread(column) is column

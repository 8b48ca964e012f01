"""Points as columns give what `dse.evaluate` gives one by one."""

import numpy as np
import pytest

import dse
from dse.evidence import columns, points

ROWS = [
    {"hardware": "NVIDIA H100", "model": "Llama-3.1-70B", "tp": tp, "batch_or_concurrency": batch,
     "isl": 900, "osl": 300, "tpot_ms": 10.0}
    for tp, batch in ((2, 4), (8, 64))
]  # fmt: skip


def test_columns_equal_single_estimates():
    read = [points.point_of(row) for row in ROWS]
    cases = [columns.case_of(point) for point in read]
    found = columns.estimated(cases, ["tpot_s", "chip_power_w"], "calibrated")
    for index, case in enumerate(cases):
        chip, deployment = case.design
        workload = columns.workload_of(read[index])
        alone = dse.evaluate(chip, case.scenario.model, workload, deployment, compiled=False,
                             fidelity="calibrated", power_scope="accelerator")  # fmt: skip
        assert found["tpot_s"][index] == pytest.approx(float(alone.tpot_s), rel=1e-3)


def test_cases_of_one_structure_share_a_group():
    cases = [columns.case_of(points.point_of(row)) for row in ROWS]
    other = columns.case_of(points.point_of(ROWS[0] | {"model": "DeepSeek-V3"}))
    assert sorted(map(len, columns.grouped([*cases, other]))) == [1, 2]


def test_columns_are_filled_up_with_the_last():
    case = columns.stacked([columns.case_of(points.point_of(row)) for row in ROWS], width=4)
    np.testing.assert_array_equal(case.design.deployment.tp, [2, 8, 8, 8])

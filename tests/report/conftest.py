"""What charts and reports draw: a small front and its company, and real objects of three verbs.

The verbs' objects are made once per session, of one chip, without compiling anything.
"""

import pytest

POINT = {"tp": "8", "batch": "32"}


def design(identifier, speed, efficiency, family="a"):
    parts = {"weights": 0.6, "kv_cache": 0.4}
    knobs = [
        {"path": "voltage", "value": 0.5 + efficiency / 100, "unit": "volt", "bound": None},
        {"path": "memory.dram.layers", "value": 4.0, "unit": None, "bound": "low"},
    ]
    return {
        "id": identifier, "family": family, "user_tokens_per_s": speed,
        "system_tokens_per_s_per_w": efficiency, "j_per_token": 1 / efficiency, "chips": 4,
        "voltage_v": 0.6, "deployment": {"batch": 8, "tp": 4, "weights": "fp8"},
        "extrapolated": ["stacked on logic"], "users_in_flight": 1e4 / speed,
        "chip_power_w": 100.0 + speed, "hardware": {"knobs": knobs[: 1 + (family == "a")]},
        "time_breakdown_s": parts, "energy_breakdown_j": parts | {"host": 0.5},
    }  # fmt: skip


@pytest.fixture(scope="session")
def front():
    real = design("-", 90, 2.0) | {"batch": 32, "chips": 8}
    over = real | {"chip": "h100_sxm", "title": "NVIDIA H100 SXM"}
    return {
        "study": "tiny", "run": "tiny", "model_title": "Llama", "workload_title": "Chat",
        "fidelity": "sol", "power_scope": "system", "trials": 10, "evaluations": 1000, "seed": 1,
        "sampler": "nsga2", "constraints": {"silicon": "<= 1000 mm2"},
        "reference_point": [10.0, 1e-3], "families": {"a": "stacked", "b": "HBM"},
        "designs": [design("1", 100, 9.0), design("2", 400, 5.0), design("3", 900, 1.0, "b")],
        "family_fronts": {"a": [[100, 9.0], [400, 5.0]], "b": [[900, 1.0]]},
        "high_efficiency_decoder": "1", "low_latency_decoder": "3", "knee": "2",
        "gain": {"user_tokens_per_s": {"ratio": 10.0, "over": over},
                 "system_tokens_per_s_per_w": {"ratio": 4.5, "over": over}, "at_equal_speed": []},
        "compare": [{"chip": "h100_sxm", "title": "NVIDIA H100 SXM", "points": [real]}],
    }  # fmt: skip


@pytest.fixture(scope="session")
def gains():
    """A ladder of two families, one step of which nothing feasible is left without."""
    goals = ("system_tokens_per_s_per_w", "user_tokens_per_s")
    baseline = {"title": "8 x NVIDIA H100 SXM", "searched": False,
                "energy": {"theirs_j_per_token": 0.5},
                "top_speed": {"theirs_tokens_per_s": 90.0}}  # fmt: skip
    rungs = [{"without": "no stacked DRAM", "how": "searched", "value": 3.0, "factor": 3.0},
             {"without": "nominal voltage, same clock", "how": "knobs held", "value": None,
              "factor": None}]  # fmt: skip
    return {
        "run": "tiny", "model_title": "Llama", "workload_title": "Chat", "fidelity": "sol",
        "power_scope": "system", "seed": 1, "trials": 10, "baselines": [baseline],
        "ladder": {
            "families": [{"family": "a", "title": "stacked", goals[0]: 9.0, goals[1]: 400.0},
                         {"family": "b", "title": "HBM", goals[0]: 1.0, goals[1]: 900.0}],
            "taken_away": [{"id": i, "goal": goal, "value": value, "rungs": rungs}
                           for i, goal, value in zip("13", goals, (9.0, 900.0), strict=True)],
        },
    }  # fmt: skip


@pytest.fixture(scope="session")
def history():
    return {"run": "tiny", "study": "tiny", "fidelity": "sol", "seed": 1, "sampler": "nsga2",
            "trials_done": 10, "trials_asked": 24, "evaluations": 10_000, "seconds": 3.0,
            "converged": False, "trials": [1, 3, 8], "hypervolume": [4.0, 4.8, 5.0]}  # fmt: skip


@pytest.fixture(scope="session")
def case():
    """One chip at one deployment, as the questions take it."""
    from dse.estimate.prepare import Choices
    from dse.questions.case import case_of

    return case_of("h100_sxm", "llama-3.1-70b", "chat-8k", Choices(tp=8, batch=32))


@pytest.fixture(scope="session")
def explained(case):
    """The object of ``dse explain --json``."""
    from dse.cli.eval import answer
    from dse.cli.point import Question

    given = (case.chip, case.model, case.workload, case.choices, case.fidelity)
    return answer(Question(*given, "system", frozenset()), with_ops=True)


@pytest.fixture(scope="session")
def sensed(case):
    """The object of ``dse sensitivity --json``."""
    from dse.cli.point import exact
    from dse.questions.doors import sensitivity_of

    with exact():
        return sensitivity_of(case)


@pytest.fixture(scope="session")
def changed(case):
    """The object of ``dse whatif --json``."""
    from dse.cli.point import exact
    from dse.questions.doors import compared

    with exact():
        return compared(case, case.changed([("voltage", "0.7V"), ("hbm.bandwidth", "2x")]))

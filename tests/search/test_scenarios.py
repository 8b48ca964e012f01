"""Several models and workloads at once: each served by the same chip and deployment."""

import numpy as np
import pytest

from dse.estimate.evaluate import evaluate
from dse.estimate.prepare import Choices
from dse.metrics import METRICS
from dse.search import batch, designs, runs, scenarios, settings, study
from dse.search.goals import Objective
from dse.specs.errors import SpecError
from tests.search.conftest import STUDY, read_study

TWO = STUDY.replace('"llama-3.1-8b"', '["llama-3.1-8b", "qwen3-30b-a3b"]')
GOALS = ("user_tokens_per_s", "system_tokens_per_s_per_w")


@pytest.fixture(scope="session")
def worst(tmp_path_factory):
    """A refined run of one model under two workloads, the worst counted."""
    folder = tmp_path_factory.mktemp("worst")
    text = STUDY.replace('"chat-8k"', '["chat-8k", "chat-1k"]').replace('"nsga2"', '"gradient"')
    text = text.replace("trials = 24", "trials = 8")
    (folder / "worst.toml").write_text(text)
    found = settings.read(str(folder / "worst.toml"))
    run = runs.start(found, str(folder / "worst.toml"), folder / "run")
    study.run(found, run)
    return run, found


def test_goals_combine_as_the_worst_or_the_weighted_mean():
    speed, usd = (Objective(METRICS[name]) for name in (GOALS[0], "usd_per_million_tokens"))
    values = [np.array([1.0, 4.0]), np.array([2.0, 1.0])]
    low = scenarios.Combination("worst", (0.5, 0.5))
    np.testing.assert_allclose(low.goal(speed, values), [1.0, 1.0])
    np.testing.assert_allclose(low.goal(usd, values), [2.0, 4.0])
    np.testing.assert_allclose(low.goal(speed, values, 64.0), [1.0, 1.0], rtol=0.02)
    mean = scenarios.Combination("weighted", (0.25, 0.75))
    np.testing.assert_allclose(mean.goal(speed, values), [2**0.75, 4**0.25], rtol=1e-6)
    np.testing.assert_allclose(low.used("<=", values), [2.0, 4.0])
    np.testing.assert_allclose(low.used(">=", values), [1.0, 1.0])


def test_each_model_is_paired_with_each_workload(tmp_path):
    text = TWO.replace('"chat-8k"', '["chat-8k", "chat-1k"]')
    text += '[scenarios]\ncombine = "weighted"\nweights = [1, 1, 1, 5]\n'
    found = read_study(tmp_path, text)
    assert [s.name for s in found.scenarios] == [
        "llama-3.1-8b, chat-8k", "llama-3.1-8b, chat-1k",
        "qwen3-30b-a3b, chat-8k", "qwen3-30b-a3b, chat-1k"]  # fmt: skip
    assert found.combination.weights == (0.125, 0.125, 0.125, 0.625)
    assert found.model.name == "llama-3.1-8b"
    assert {path.stem for path in found.files} >= {"qwen3-30b-a3b", "chat-1k"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (TWO + '[scenarios]\ncombine = "mean"', "scenarios.combine: 'mean'"),
        (TWO + "[scenarios]\nweights = [1, 2]", 'only with combine = "weighted"'),
        (TWO + '[scenarios]\ncombine = "weighted"\nweights = [1.0]', "1 for 2 scenarios"),
        (TWO + '[scenarios]\ncombine = "weighted"\nweights = [1.0, 0.0]', "above zero"),
        (TWO.replace('"qwen3-30b-a3b"', '"llama-3.1-8b"'), "list of different ones"),
        (STUDY.replace('"llama-3.1-8b"', "[]"), "wanted a name"),
        (TWO + '[scenarios]\ncombin = "worst"', "did you mean combine"),
    ],
)
def test_bad_scenarios_are_named(text, said, tmp_path):
    with pytest.raises(SpecError) as refused:
        read_study(tmp_path, text)
    assert said in "\n".join(refused.value.problems)


def test_a_deployment_must_exist_for_every_model(tmp_path):
    """64 stages suit the 126 layers of one model, not the 32 of the other."""
    text = TWO.replace("qwen3-30b-a3b", "llama-3.1-405b").replace("4000 mm2", "400000 mm2")
    found = read_study(tmp_path, text.replace("tp = [1, 2, 4]", "tp = [1, 2]\npp = [1, 64]"))
    (family,) = found.space.families
    one, other = batch.grids_of(family, found)
    assert list(one.choices) == list(other.choices)
    assert {choice.pp for choice in one.choices} == {1}
    alone = batch.grids_of(family, found.alone(found.scenarios[1]))[0]
    assert {choice.pp for choice in alone.choices} >= {64}


def test_a_batch_combines_what_each_scenario_gives_alone(worst):
    found = worst[1]
    together = batch.evaluators(found)["reticle_n3_stacked"]
    start = np.array([together.family.start])
    outcome = together(start)
    alone = [part(start) for part in together.parts]
    for i in range(2):
        low = np.minimum(alone[0].goals[i], alone[1].goals[i])
        np.testing.assert_allclose(outcome.goals[i], low, rtol=1e-6)
    margins = np.maximum(alone[0].limit_margin, alone[1].limit_margin)
    assert (outcome.limit_margin == margins).all()
    names = {together.limit_names[i] for i in outcome.limit_index[0]}
    assert all(name.endswith((" (chat-8k)", " (chat-1k)")) for name in names)
    some = together(start, together.some(np.array([1, 3])))
    assert (some.goals[0] == outcome.goals[0][:, [1, 3]]).all()


def test_designs_state_each_scenario_and_the_worst_of_them(worst):
    run, found = worst
    front = run.front()
    assert front["workload"] == "chat-8k, chat-1k"
    assert [s["scenario"] for s in front["scenarios"]] == ["chat-8k", "chat-1k"]
    assert front["combine"] == "worst"
    assert len(front["designs"]) >= 5
    for design in front["designs"]:
        for goal in GOALS:
            assert design[goal] == pytest.approx(min(s[goal] for s in design["scenarios"]))
        assert design["tpot_s"] == pytest.approx(1 / design["user_tokens_per_s"])
    design = front["designs"][0]
    chip, choices, model, workload = designs.design_of(run, design["id"])
    assert workload.name == "chat-8k"
    for scenario, said in zip(found.scenarios, design["scenarios"], strict=True):
        again = evaluate(chip, model, scenario.workload, choices, fidelity="sol")
        assert float(again.user_tokens_per_s) == pytest.approx(said[GOALS[0]], rel=1e-9)


def test_a_chip_compared_is_worth_the_worst_of_both(worst):
    run, found = worst
    (curve,) = run.front()["compare"]
    for point in curve["points"][::4]:
        choices = Choices(**{name: point[name] for name in found.deployment})
        both = [evaluate("h100_sxm", s.model, s.workload, choices, fidelity="sol")
                for s in found.scenarios]  # fmt: skip
        low = min(float(estimate.user_tokens_per_s) for estimate in both)
        assert point[GOALS[0]] == pytest.approx(low, rel=1e-6)


def test_a_front_of_two_workloads_reports_and_exports(worst, tmp_path):
    from dse.cli.main import main
    from dse.search.portfolio import portfolio

    run, _ = worst
    assert portfolio(run, 1)["portfolios"]
    for output in ("front.csv", "front.html"):
        verb = "export" if output.endswith("csv") else "plot"
        assert main(["pareto", verb, str(run.folder), "-o", str(tmp_path / output)]) == 0
    assert main(["pareto", "export", str(run.folder), "--hw", "low", "-o",
                 str(tmp_path / "chip.toml")]) == 0  # fmt: skip

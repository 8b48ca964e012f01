"""Shared by all tests: specs by name, and one operating point without compiling anything.

An estimate of one point, run operator by operator, takes some 30 ms and a compiled one seconds to
build, so tests call `estimate_step` as it is; many designs at once go through `jax.vmap`.
"""

import functools
from types import SimpleNamespace

import jax
import pytest

from dse import compile_cache
from dse.estimate.evaluate import prepared
from dse.estimate.prepare import Choices
from dse.estimate.step import Design, Estimate, Scenario, estimate_step
from dse.report.export import browser as browser_path
from dse.specs import load


@pytest.fixture(scope="session", autouse=True)
def kept_programs(request):
    """Compiled and traced programs are kept between test runs, as the command line keeps them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_COMPILATION_CACHE_DIR", str(request.config.cache.mkdir("jax")))
        compile_cache.enable()
        yield


@pytest.fixture(scope="module")
def float64():
    """Double precision for a whole module."""
    with jax.enable_x64(True):
        yield


@functools.cache
def _spec(kind: str, name: str, overrides: tuple[tuple[str, str], ...] = ()):
    return load.load(kind, name, overrides).spec


@pytest.fixture(scope="session")
def chip():
    """``chip("h100_sxm", {"voltage": "0.7 V"})``: a hardware spec, with changes by path."""

    def named(name: str, overrides: dict[str, str] | None = None):
        return _spec("chips", name, tuple((overrides or {}).items()))

    return named


@pytest.fixture(scope="session")
def model():
    """``model("deepseek-v3")``: a network spec."""
    return functools.partial(_spec, "models")


@pytest.fixture(scope="session")
def point():
    """``point(chip, model, workload, **choices)``: what `estimate_step` takes."""

    def named(hardware, network, workload="chat-8k", **choices) -> tuple[Design, Scenario]:
        hardware = _spec("chips", hardware) if isinstance(hardware, str) else hardware
        network = _spec("models", network) if isinstance(network, str) else network
        return prepared(hardware, network, _spec("workloads", workload), Choices(**choices))

    return named


@pytest.fixture(scope="session")
def at(point):
    """``at(chip, model, batch=1, tp=8)``: one estimate at speed of light, system scope."""

    def named(hardware, network, workload="chat-8k", how=None, **choices) -> Estimate:
        return estimate_step(*point(hardware, network, workload, **choices), **(how or {}))

    return named


@pytest.fixture
def run_of_one_design(monkeypatch):
    """A run whose front holds one design, as `dse.search.designs` hands it out."""
    from dse.search import designs

    study = SimpleNamespace(
        model=load.load("models", "gpt-oss-20b"), workload=load.load("workloads", "chat-1k"),
        fidelity="sol", power_scope="accelerator",
    )  # fmt: skip
    design = {
        "id": "a1",
        "hardware": {
            "base": "reticle_n3_hbm4",
            "choices": {},
            "knobs": [{"path": "voltage", "value": 0.6123456789, "unit": "volt"}],
        },
        "deployment": {"batch": 4.0, "tp": 2.0, "weights": "fp8"},
    }
    run = SimpleNamespace(name="r", settings=lambda: study, front=lambda: {"designs": [design]})
    monkeypatch.setattr(designs.runs, "find", lambda name: run)


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium of this machine; nothing is downloaded."""
    program = browser_path()
    if program is None:
        pytest.skip("no Chrome or Chromium on this machine: the page is not driven")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        made = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield made
        made.close()

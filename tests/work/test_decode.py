"""The operators of a whole step against parameter counts taken from the shapes alone."""

import dataclasses
import pathlib

import pytest

from dse.specs import network, parameters
from dse.work.decode import decode_ops
from dse.work.split import Context

pytestmark = pytest.mark.usefixtures("float64")
FOLDER = pathlib.Path(__file__).parents[2] / "studies" / "models"
MODELS = sorted(path.stem for path in FOLDER.glob("*.toml"))
CONTEXT = Context((8192.0,), (1.0,), 8704.0, 7680.0, 1024.0)


@pytest.fixture(scope="module")
def ops_of(model, parted):
    """Operators of a model at a split of `parted`, batch 1 unless said otherwise."""

    def build(name, batch=1.0, micro_batches=1.0, pp=1.0, **groups):
        d = parted(**groups).deployment
        d = dataclasses.replace(d, batch=batch, micro_batches=micro_batches, pp=pp)
        return decode_ops(model(name), CONTEXT, d)

    return build


def values(ops, field):
    return sum(float(op.layers * getattr(op, field)) for op in ops)


@pytest.mark.parametrize("name", MODELS)
def test_one_chip_stores_all_parameters(name, model, ops_of):
    stored = values(ops_of(name), "stored_values")
    assert stored == pytest.approx(parameters.total_parameters(model(name)), rel=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_one_token_reads_the_active_parameters_and_its_row(name, model, ops_of):
    """The input embedding is a lookup of one row; the output head is read also where tied."""
    read = values(ops_of(name), "read_values")
    spec = model(name)
    expected = parameters.active_parameters(spec) + spec.width
    assert read == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", ["llama-3.1-70b", "mixtral-8x7b", "qwen3-32b"])
def test_a_tensor_split_reads_everything_once_but_norms(name, model, ops_of):
    """Eight chips share every matrix (eight KV heads or more); norms and routers are copied."""
    one, eight = ops_of(name), ops_of(name, tp=8)
    spec = model(name)
    layers = sum(group.layers for group in spec.groups)
    copied = layers * spec.norms_per_layer * spec.width + spec.width
    for group in spec.groups:
        if isinstance(group.feedforward, network.MixtureOfExperts):
            copied += group.layers * group.feedforward.experts * spec.width
    extra = 8 * values(eight, "stored_values") - values(one, "stored_values")
    assert extra == pytest.approx(7 * copied, rel=1e-9)


@pytest.mark.parametrize("name", ["llama-3.1-70b", "deepseek-v3", "nemotron-h-56b"])
def test_micro_batches_divide_rows(name, ops_of):
    whole, half = ops_of(name, batch=8.0), ops_of(name, batch=8.0, micro_batches=2.0, pp=2.0)
    for field in ("tensor_flops", "kv_read_values", "state_bytes"):
        assert values(half, field) == pytest.approx(values(whole, field) / 2)


def test_stages_hand_over_once_each(ops_of):
    """P stages, P hand-overs: P - 1 onward and the sampled token back to the first."""
    assert float(ops_of("llama-3.1-70b")[-1].layers) == 0
    last = ops_of("llama-3.1-70b", batch=8.0, micro_batches=4.0, pp=4.0)[-1]
    assert float(last.layers) == 4
    assert float(last.exchange.size_bytes) == 2 * 8192

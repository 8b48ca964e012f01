"""Collectives by name, by index, and by what lies below all of them."""

import pytest

from dse.estimate.exchange import AUTO, FLOOR, crossing
from dse.resources.provision import provision
from dse.work.table import Exchange


@pytest.mark.parametrize("name", ["reticle_n3_stacked", "reticle_n3_hbm4"])
@pytest.mark.parametrize("size", [1e2, 1e5, 1e8])
def test_a_sum_by_index_is_that_by_name_and_the_floor_is_below_all(chip, name, size):
    resources = provision(chip(name), 32.0)
    exchange = Exchange("all_reduce", size, 32.0, 1.0)
    reduces = resources.fabrics["scale_up"].in_network_reduction > 0.5
    kinds = [kind for kind in AUTO if kind != "in_switch" or reduces]
    floor = crossing(exchange, resources, FLOOR, 1.0)
    fastest = crossing(exchange, resources, "auto", 1.0)
    held = [crossing(exchange, resources, float(AUTO.index(kind)), 1.0) for kind in kinds]
    for kind, one in zip(kinds, held, strict=True):
        named = crossing(exchange, resources, kind, 1.0)
        assert float(one.seconds) == pytest.approx(float(named.seconds))
        sent = float(one.sent_bytes["scale_up"])
        assert sent == pytest.approx(float(named.sent_bytes["scale_up"]))
        assert float(floor.seconds) <= float(one.seconds) * (1 + 1e-6)
        assert float(floor.sent_bytes["scale_up"]) <= sent * (1 + 1e-6)
    assert float(fastest.seconds) == pytest.approx(min(float(one.seconds) for one in held))

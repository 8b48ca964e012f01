"""A split of a small model, as one chip sees it."""

import pytest

from dse.specs.deployment import Deployment, Formats, Skew
from dse.work.split import Context, Split


@pytest.fixture(scope="session")
def parted():
    """``parted(tp=8, sequences=4)``: a `Split` of one-byte values, each count given by name."""

    def build(*, sequences=1.0, queries=1.0, context=1000.0, width=512.0, **groups) -> Split:
        tp, kvp, dp, ep = (float(groups.get(n, 1.0)) for n in ("tp", "kvp", "dp", "ep"))
        rows = sequences * queries
        deployment = Deployment(
            batch=sequences * dp, micro_batches=1.0, tp=tp, kvp=kvp, dp=dp, pp=1.0, ep=ep,
            formats=Formats(1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, {}), skew=Skew({}, {}, 1.0),
            weights_in={}, kv_in={}, stripe_fraction=1.0, overlap=0.0, accepted=1.0,
            queries=queries, draft_layers=0.0,
        )  # fmt: skip
        lengths = Context((context,), (1.0,), context + 10, context - 10, 20.0)
        return Split(deployment, lengths, width, sequences, rows, rows * dp, tp, kvp, dp, ep,
                     tp * kvp * dp / ep, 1.0, 1.0)  # fmt: skip

    return build

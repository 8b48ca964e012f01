"""The fullest rank over the mean one, against Monte Carlo and against tabulated cases."""

import numpy as np
import pytest

from dse.work.imbalance import blom, context_skew, slot_skew, weight_skew

# experts, experts per token, ranks, tokens: from one token slot per rank upward.
CASES = [
    (384, 8, 72, 9),
    (384, 8, 72, 64),
    (384, 8, 64, 8),
    (256, 8, 8, 1),
    (256, 8, 32, 32),
    (256, 8, 144, 64),
    (256, 8, 256, 32),
    (128, 4, 8, 2),
    (128, 4, 128, 32),
    (128, 8, 64, 16),
    (128, 1, 64, 64),
    (16, 1, 16, 16),
    (8, 2, 4, 2),
    (8, 2, 8, 32),
]


def monte_carlo(experts, per_token, ranks, tokens):
    """Uniform choices without replacement, experts dealt to ranks as evenly as whole ones allow."""
    rng = np.random.default_rng(17)
    trials = int(np.clip(1e7 / (tokens * experts), 60, 2000))
    rank_of = np.arange(experts) * ranks // experts
    slots, touched = [], []
    for _ in range(trials):
        order = rng.random((tokens, experts), dtype=np.float32).argpartition(per_token, axis=1)
        chosen = order[:, :per_token]
        slots.append(np.bincount(rank_of[chosen].ravel(), minlength=ranks).max())
        touched.append(np.bincount(rank_of[np.unique(chosen)], minlength=ranks).max())
    union = experts * (1 - (1 - per_token / experts) ** tokens)
    mean = tokens * per_token / ranks
    return np.mean(slots) / mean, np.mean(touched) / (union / ranks)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_against_monte_carlo(case):
    experts, per_token, ranks, tokens = case
    slots, touched = monte_carlo(*case)
    counts = (float(tokens), float(experts), float(per_token), float(ranks))
    assert slot_skew(*counts) == pytest.approx(slots, rel=0.05)
    assert weight_skew(*counts) == pytest.approx(touched, rel=0.05)


def test_kimi_on_72_ranks():
    """384 experts, 8 a token: weights 11.3, 2.75, 1.52, 1.13 for 1, 16, 64, 256 tokens.

    Token slots 11.3, 3.2, 2.0, 1.5. One token leaves most ranks empty, a ninth of a slot each,
    where the closed form is 4 % high.
    """
    tokens = (1.0, 16.0, 64.0, 256.0)
    weights = [weight_skew(n, 384.0, 8.0, 72.0) for n in tokens]
    slots = [slot_skew(n, 384.0, 8.0, 72.0) for n in tokens]
    assert weights == pytest.approx([11.3, 2.75, 1.52, 1.13], rel=0.05)
    assert weights[1:] == pytest.approx([2.75, 1.52, 1.13], rel=0.005)
    assert slots == pytest.approx([11.3, 3.2, 2.0, 1.5], rel=0.05)


# Largest over mean token slots on 8 and 32 ranks, by Monte Carlo, for 32 and 256 tokens.
TABLE = {
    (256, 8): (1.25, 1.09, 1.78, 1.27),
    (384, 8): (1.26, 1.09, 1.79, 1.26),
    (128, 4): (1.37, 1.12, 2.17, 1.38),
    (128, 8): (1.24, 1.09, 1.74, 1.26),
}


@pytest.mark.parametrize(("shape", "expected"), TABLE.items(), ids=str)
def test_tabulated_slot_skews(shape, expected):
    found = [slot_skew(n, float(shape[0]), float(shape[1]), r) for r in (8.0, 32.0)
             for n in (32.0, 256.0)]  # fmt: skip
    assert found == pytest.approx(expected, rel=0.02)  # the table's own draws scatter by 1 %


def test_contexts_of_72_ranks():
    """16 sequences each whose lengths vary as much as their mean: about 1.6 (Monte Carlo 1.7)."""
    assert context_skew(72.0, 16.0, 1.0) == pytest.approx(1.62, rel=0.02)


@pytest.mark.parametrize("skew", [slot_skew, weight_skew], ids=lambda f: f.__name__)
def test_bounds(skew):
    assert skew(64.0, 256.0, 8.0, 1.0) == 1  # nobody to differ from
    for ranks in (2.0, 8.0, 64.0, 256.0):
        found = [skew(n, 256.0, 8.0, ranks) for n in (1.0, 4.0, 16.0, 64.0, 1024.0)]
        assert found == sorted(found, reverse=True)  # more tokens even out
        assert all(1 <= value <= ranks * 1.001 for value in found)


def test_equal_contexts_do_not_wait():
    assert context_skew(1.0, 16.0, 1.0) == context_skew(72.0, 16.0, 0.0) == 1


def test_blom_is_the_expected_maximum_of_normals():
    rng = np.random.default_rng(3)
    for ranks in (2, 16, 72):
        drawn = rng.standard_normal((20_000, ranks)).max(axis=1).mean()
        assert blom(ranks) == pytest.approx(drawn, abs=0.03)

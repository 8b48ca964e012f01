"""What is compiled for a search: any order of sums, the same numbers otherwise."""

import jax.numpy as jnp
import numpy as np
import pytest

from dse import compiled

X = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -2.0, 3e38], np.float32)


def undefined(x, zero):
    """Operations that make, meet and mend what is not a number."""
    return (jnp.isnan(x), jnp.isinf(x), jnp.log(x), jnp.sqrt(x), x / zero, zero / x,
            jnp.where(jnp.isnan(x), 7.0, x), jnp.maximum(x, 1.0), x * x,
            jnp.nan_to_num(x))  # fmt: skip


def test_what_is_not_a_number_stays_none():
    """A search tells undefined designs by their nan and inf."""
    arguments = jnp.asarray(X), jnp.zeros(len(X))
    found, plain = compiled.quick(undefined)(*arguments), undefined(*arguments)
    for got, want in zip(found, plain, strict=True):
        assert np.array_equal(np.isnan(got), np.isnan(want))
        assert np.array_equal(np.isinf(got), np.isinf(want))
        finite = np.isfinite(want)
        assert np.asarray(got)[finite] == pytest.approx(np.asarray(want)[finite])


def test_calls_agree_bit_by_bit_and_with_numpy():
    x = np.random.default_rng(0).lognormal(size=(64, 1000)).astype(np.float32)
    function = compiled.quick(lambda x: (jnp.exp(-x) * x**1.7).sum(axis=1))
    first = np.asarray(function(x))
    assert np.array_equal(first, function(x))
    wide = x.astype(float)
    assert first == pytest.approx((np.exp(-wide) * wide**1.7).sum(axis=1), rel=1e-5)

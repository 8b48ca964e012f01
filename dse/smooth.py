"""Every numerical guard of the model, with the reason at each.

Physics files hold no epsilon, no ``nan_to_num`` and no ``stop_gradient``: they call these.
"""

import jax
import jax.numpy as jnp


def maximum(times_s, exponent=None):
    """Maximum of non-negative scalars: hard for ``exponent=None``, else the p-norm.

    The p-norm is homogeneous (seconds in, seconds out at any scale), so no temperature with a
    unit has to be chosen; it is never below the hard maximum and at most ``n ** (1 / p)`` above.
    """
    times_s = [jnp.asarray(t) for t in times_s]
    longest = times_s[0]
    for t in times_s[1:]:
        longest = jnp.maximum(longest, t)
    if exponent is None or len(times_s) == 1:
        return longest
    fixed = jax.lax.stop_gradient(longest)
    scale = jnp.where(fixed > 0, fixed, 1.0)  # an idle op must not divide by zero
    total = sum((t / scale) ** exponent for t in times_s)
    safe = jnp.where(total > 0, total, 1.0)  # 0 ** (1 / p) has an infinite slope
    return jnp.where(total > 0, safe ** (1 / exponent), 0.0) * scale


def ratio(numerator, denominator):
    """``numerator / denominator``, and 0 (with a finite gradient) where the denominator is 0."""
    safe = jnp.where(denominator == 0, 1.0, denominator)
    return jnp.where(denominator == 0, 0.0, numerator / safe)


def excess(used, allowed):
    """``used / allowed - 1``; where nothing is allowed, any use is far too much and none is fine.

    A tier of no layers has no capacity: its limit must not vanish with it.
    """
    none = allowed <= 0
    share = used / jnp.where(none, 1.0, allowed) - 1
    return jnp.where(none, jnp.where(used > 0, 1e6, 0.0), share)


def fixed(value):
    """A value that gradients take as given."""
    return jax.lax.stop_gradient(value)


def log2(value):
    """``log2`` of a count of at least 1; counts below 1 (an unused split) give 0."""
    return jnp.log2(jnp.maximum(value, 1.0))


def above(value, threshold):
    """How far ``value`` lies above ``threshold``; 0 below."""
    return jnp.maximum(value - threshold, 0.0)


def softplus(value, width):
    """``width * log(1 + exp(value / width))``: linear far above 0, exponential far below."""
    return width * jax.nn.softplus(value / width)


def sqrt(value):
    """Square root whose gradient is finite at 0 (an absent component)."""
    safe = jnp.where(value > 0, value, 1.0)
    return jnp.where(value > 0, jnp.sqrt(safe), 0.0)


def ceiling(value):
    """Ceiling of a quotient of counts, forgiving the last bits of a float32 division.

    Its gradient is zero: how heads and experts split is a matter of whole chips.
    """
    return jnp.ceil(value - 1e-5)


def stated(value, otherwise):
    """A stated value, or what stands for it where a spec leaves it out (never ``or``: 0 counts)."""
    return otherwise if value is None else value

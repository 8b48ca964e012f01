"""How what a search evaluates is compiled: over columns of designs, and quick.

Of gradients of the model half the time, and half the time of compiling, goes into keeping sums and
products in the order they were written in. What is searched may take them in any order: a design
that is reported is evaluated once more, alone and in double precision. Results stay the same from
run to run, and what is not a number stays none (but ``x - x`` and ``0 x`` count as zero for any x).
"""

from collections.abc import Callable
from typing import Any

import jax

ANY_ORDER = {
    "xla_cpu_enable_fast_math": True,
    # All that fast arithmetic may otherwise bend: undefined designs must be seen as such.
    "xla_cpu_fast_math_honor_nans": True,
    "xla_cpu_fast_math_honor_infs": True,
    "xla_cpu_fast_math_honor_division": True,
    "xla_cpu_fast_math_honor_functions": True,
}


def quick(function: Callable[..., Any]) -> Any:
    """A function of arrays, compiled; for what is searched, not for what is reported."""
    return jax.jit(function, compiler_options=ANY_ORDER)

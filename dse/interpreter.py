"""A function traced by JAX and run by numpy: an answer in milliseconds, with nothing to compile.

XLA needs seconds to compile the model and a second to dispatch it operator by operator in a new
process; tracing takes 0.2 s and numpy 5 ms. Inputs may carry a leading axis, [point]: the traced
program is then run on all points at once. What numpy has no rule for, JAX runs.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.extend import core


def _select(which, *cases):
    return np.where(which, cases[1], cases[0]) if len(cases) == 2 else np.choose(which, cases)


# Primitives that act element by element: on columns they need nothing else.
ELEMENTWISE: dict[str, Callable] = {
    "abs": np.abs,
    "add": np.add,
    "add_any": np.add,
    "and": np.logical_and,
    "ceil": np.ceil,
    "copy": lambda x: x,
    "cos": np.cos,
    "div": np.divide,
    "eq": np.equal,
    "exp": np.exp,
    "expm1": np.expm1,
    "floor": np.floor,
    "ge": np.greater_equal,
    "gt": np.greater,
    "is_finite": np.isfinite,
    "le": np.less_equal,
    "log": np.log,
    "log1p": np.log1p,
    "lt": np.less,
    "max": np.maximum,
    "min": np.minimum,
    "mul": np.multiply,
    "ne": np.not_equal,
    "neg": np.negative,
    "not": np.logical_not,
    "or": np.logical_or,
    "pow": np.power,
    "select_n": _select,
    "sign": np.sign,
    "sqrt": np.sqrt,
    "stop_gradient": lambda x: x,
    "sub": np.subtract,
    "tanh": np.tanh,
}


def _converted(params, ranks) -> Callable:
    kind = params["new_dtype"]
    return lambda x: x.astype(kind)


def _powered(params, ranks) -> Callable:
    exponent = params["y"]
    return lambda x: x**exponent


def _broadcast(params, ranks) -> Callable:
    shape, places = tuple(params["shape"]), params["broadcast_dimensions"]
    rank = ranks[0]

    def widened(x):
        lead, inner = x.shape[: x.ndim - rank], x.shape[x.ndim - rank :]
        spread = [1] * len(shape)
        for place, size in zip(places, inner, strict=True):
            spread[place] = size
        return np.broadcast_to(x.reshape(*lead, *spread), (*lead, *shape))

    return widened


def _summed(params, ranks) -> Callable:
    axes = tuple(axis - ranks[0] for axis in params["axes"])  # from the end: points come first
    return lambda x: np.sum(x, axis=axes)


RULES: dict[str, Callable] = {
    "broadcast_in_dim": _broadcast,
    "convert_element_type": _converted,
    "integer_pow": _powered,
    "reduce_sum": _summed,
}


class _Step(NamedTuple):
    run: Callable
    reads: tuple[int, ...]
    writes: tuple[int, ...]
    is_list: bool  # whether it hands back one value per place it writes


class Program:
    """A function of numbers, traced once; called with the same tree of numbers or columns."""

    def __init__(self, function: Callable, *example: Any):
        """Trace a function on arguments whose leaves are floats of one operating point."""
        leaves, self._tree = jax.tree.flatten(example)
        shapes = [jax.ShapeDtypeStruct(np.shape(leaf), np.float64) for leaf in leaves]
        with jax.enable_x64(True):
            traced, out = jax.make_jaxpr(function, return_shape=True)(
                *jax.tree.unflatten(self._tree, shapes)
            )
        self._out_tree = jax.tree.structure(out)
        self._steps: list[_Step] = []
        self._values: list[Any] = []  # constants in place, None where a step or a caller writes
        places = self._flattened(traced.jaxpr, traced.consts, None)
        self._inputs, self._outputs = places

    def __call__(self, *arguments: Any) -> Any:
        """Run on arguments of the traced structure; leaves of shape [] or [point]."""
        leaves = self._tree.flatten_up_to(arguments)
        values = list(self._values)
        for place, leaf in zip(self._inputs, leaves, strict=True):
            values[place] = np.asarray(leaf, np.float64)[()]
        with np.errstate(all="ignore"):
            for run, reads, writes, is_list in self._steps:
                found = run(*[values[place] for place in reads])
                if not is_list:
                    values[writes[0]] = found
                    continue
                for place, value in zip(writes, found, strict=True):
                    values[place] = value
        return self._out_tree.unflatten([values[place] for place in self._outputs])

    def _flattened(self, jaxpr: Any, consts: Sequence[Any], inputs: list[int] | None):
        """Append the steps of a jaxpr, and of those it calls; where its inputs and outputs are."""
        known: dict[Any, int] = {}
        for variable, value in zip(jaxpr.constvars, consts, strict=True):
            known[variable] = self._place(np.asarray(value)[()])
        inputs = [self._place(None) for _ in jaxpr.invars] if inputs is None else inputs
        known |= zip(jaxpr.invars, inputs, strict=True)

        def place_of(atom) -> int:
            if isinstance(atom, core.Literal):
                return self._place(np.asarray(atom.val, getattr(atom.aval, "dtype", None))[()])
            return known[atom]

        for equation in jaxpr.eqns:
            reads = [place_of(atom) for atom in equation.invars]
            inner = equation.params.get("jaxpr", equation.params.get("call_jaxpr"))
            if inner is not None:
                writes = self._flattened(inner.jaxpr, inner.consts, reads)[1]
            else:
                writes = [self._place(None) for _ in equation.outvars]
                self._steps.append(_step(equation, tuple(reads), tuple(writes)))
            known |= zip(equation.outvars, writes, strict=True)
        return inputs, [place_of(atom) for atom in jaxpr.outvars]

    def _place(self, value: Any) -> int:
        self._values.append(value)
        return len(self._values) - 1


def _step(equation: Any, reads: tuple[int, ...], writes: tuple[int, ...]) -> _Step:
    primitive, params = equation.primitive, equation.params
    ranks = [atom.aval.ndim for atom in equation.invars]
    if primitive.name in ELEMENTWISE:
        return _Step(ELEMENTWISE[primitive.name], reads, writes, False)
    if primitive.name in RULES:
        return _Step(RULES[primitive.name](params, ranks), reads, writes, False)
    return _Step(_by_jax(primitive, params, ranks), reads, writes, primitive.multiple_results)


def _by_jax(primitive: Any, params: dict, ranks: list[int]) -> Callable:
    """A primitive without a rule of ours, mapped over points where there are any."""

    def bound(*values):
        return primitive.bind(*values, **params)

    def run(*values):
        axes = tuple(0 if v.ndim > rank else None for v, rank in zip(values, ranks, strict=True))
        with jax.enable_x64(True):
            mapped = bound if all(axis is None for axis in axes) else jax.vmap(bound, axes)
            return jax.tree.map(lambda x: np.asarray(x)[()], mapped(*values))

    return run

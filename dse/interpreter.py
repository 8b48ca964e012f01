"""A function traced by JAX and run by numpy: an answer in milliseconds, with nothing to compile.

XLA needs seconds to compile the model and a second to dispatch it operator by operator in a new
process; tracing takes a few tenths and numpy 5 ms. Inputs may carry a leading axis, [point]: the
traced program is then run on all points at once. What numpy has no rule for, JAX runs. Beside
JAX's compile cache, where that is on, traced programs are kept and not traced again.
"""

import contextlib
import functools
import hashlib
import operator
import os
import pathlib
import pickle
import tempfile
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.extend import core

MOST_KEPT = 200  # programs of earlier processes, half a megabyte each


def _select(which, *cases):
    return np.where(which, cases[1], cases[0]) if len(cases) == 2 else np.choose(which, cases)


# Primitives that act element by element: on columns they need nothing else. Plain operators give
# what numpy's functions give, to the bit, and take a fifth of their time on a scalar.
ELEMENTWISE: dict[str, Callable] = {
    "abs": operator.abs,
    "add": operator.add,
    "add_any": operator.add,
    "and": np.logical_and,
    "ceil": np.ceil,
    "copy": lambda x: x,
    "div": operator.truediv,
    "eq": operator.eq,
    "exp": np.exp,
    "expm1": np.expm1,
    "floor": np.floor,
    "ge": operator.ge,
    "gt": operator.gt,
    "is_finite": np.isfinite,
    "le": operator.le,
    "log": np.log,
    "log1p": np.log1p,
    "lt": operator.lt,
    "max": np.maximum,
    "min": np.minimum,
    "mul": operator.mul,
    "ne": operator.ne,
    "neg": operator.neg,
    "not": np.logical_not,
    "or": np.logical_or,
    "pow": np.power,
    "select_n": _select,
    "sign": np.sign,
    "sqrt": np.sqrt,
    "stop_gradient": lambda x: x,
    "sub": operator.sub,
    "tanh": np.tanh,
}


class Step(NamedTuple):
    """One primitive of a program, as plain data: places it reads and the one it writes."""

    primitive: str
    params: tuple  # what its rule needs of the primitive's parameters
    rank: int  # of its first operand, without the axis of points
    reads: tuple[int, ...]
    writes: tuple[int, ...]


def _converted(params, rank) -> Callable:
    kind = np.dtype(params[0])
    return lambda x: x.astype(kind)


def _powered(params, rank) -> Callable:
    return lambda x: x ** params[0]


def _broadcast(params, rank) -> Callable:
    shape, places = params

    def widened(x):
        lead, inner = x.shape[: x.ndim - rank], x.shape[x.ndim - rank :]
        spread = [1] * len(shape)
        for place, size in zip(places, inner, strict=True):
            spread[place] = size
        return np.broadcast_to(x.reshape(*lead, *spread), (*lead, *shape))

    return widened


def _summed(params, rank) -> Callable:
    axes = tuple(axis - rank for axis in params[0])  # from the end: points come first
    return lambda x: np.sum(x, axis=axes)


# Primitive -> (its rule, the parameters the rule needs).
RULES: dict[str, tuple[Callable, Callable[[dict], tuple]]] = {
    "broadcast_in_dim": (
        _broadcast, lambda p: (tuple(p["shape"]), tuple(p["broadcast_dimensions"]))),
    "convert_element_type": (_converted, lambda p: (np.dtype(p["new_dtype"]).name,)),
    "integer_pow": (_powered, lambda p: (p["y"],)),
    "reduce_sum": (_summed, lambda p: (tuple(p["axes"]),)),
}  # fmt: skip


class Program:
    """A function of numbers, traced once; called with the same tree of numbers or columns."""

    def __init__(self, function: Callable, *example: Any, name: str | None = None):
        """Trace a function on arguments whose leaves are floats of one operating point.

        Args:
            function: takes and returns trees of scalars.
            example: arguments of the wanted structure.
            name: says which function this is, for programs kept from an earlier process.
        """
        self._tree = jax.tree.structure(example)
        place = _kept_at(name, self._tree) if name else None
        if place is None or not self._read(place):
            self._trace(function)
            if place is not None:
                self._keep(place)
        self._run = [(_runner(step, self._by_jax), step.reads, step.writes, step in self._by_jax)
                     for step in self._steps]  # fmt: skip

    def __call__(self, *arguments: Any) -> Any:
        """Run on arguments of the traced structure; leaves of shape [] or [point]."""
        leaves = self._tree.flatten_up_to(arguments)
        values = list(self._values)
        for place, leaf in zip(self._inputs, leaves, strict=True):
            values[place] = np.asarray(leaf, np.float64)[()]
        with np.errstate(all="ignore"):
            for run, reads, writes, is_list in self._run:
                found = run(*[values[place] for place in reads])
                if not is_list:
                    values[writes[0]] = found
                    continue
                for place, value in zip(writes, found, strict=True):
                    values[place] = value
        return self._out_tree.unflatten([values[place] for place in self._outputs])

    # --- tracing --------------------------------------------------------------------------------

    def _trace(self, function: Callable) -> None:
        scalars = [jax.ShapeDtypeStruct((), np.float64)] * self._tree.num_leaves
        with jax.enable_x64(True):
            traced, out = jax.make_jaxpr(function, return_shape=True)(
                *jax.tree.unflatten(self._tree, scalars)
            )
        self._out_tree = jax.tree.structure(out)
        self._steps: list[Step] = []
        self._by_jax: dict[Step, Callable] = {}
        self._values: list[Any] = []  # constants in place, None where a step or a caller writes
        self._inputs, self._outputs = self._flattened(traced.jaxpr, traced.consts, None)

    def _flattened(self, jaxpr: Any, consts: Sequence[Any], inputs: list[int] | None):
        """Append the steps of a jaxpr, and of those it calls; where its inputs and outputs are."""
        known: dict[Any, int] = {}
        for variable, value in zip(jaxpr.constvars, consts, strict=True):
            known[variable] = self._place(np.asarray(value)[()])
        inputs = [self._place(None) for _ in jaxpr.invars] if inputs is None else inputs
        known |= zip(jaxpr.invars, inputs, strict=True)

        def place_of(atom) -> int:
            if isinstance(atom, core.Literal):
                kind = getattr(atom.aval, "dtype", None)
                return self._place(np.asarray(atom.val, kind)[()])
            return known[atom]

        for equation in jaxpr.eqns:
            reads = [place_of(atom) for atom in equation.invars]
            inner = equation.params.get("jaxpr", equation.params.get("call_jaxpr"))
            if inner is not None:
                writes = self._flattened(inner.jaxpr, inner.consts, reads)[1]
            else:
                writes = [self._place(None) for _ in equation.outvars]
                self._append(equation, tuple(reads), tuple(writes))
            known |= zip(equation.outvars, writes, strict=True)
        return inputs, [place_of(atom) for atom in jaxpr.outvars]

    def _place(self, value: Any) -> int:
        self._values.append(value)
        return len(self._values) - 1

    def _append(self, equation: Any, reads: tuple[int, ...], writes: tuple[int, ...]) -> None:
        name = equation.primitive.name
        needed = RULES[name][1](equation.params) if name in RULES else ()
        ranks = [atom.aval.ndim for atom in equation.invars]
        if name in ELEMENTWISE and len(set(ranks)) > 1:
            needed = tuple(ranks)  # JAX multiplies a vector by a scalar as they are
        step = Step(name, needed, ranks[0] if ranks else 0, reads, writes)
        self._steps.append(step)
        if name not in RULES and name not in ELEMENTWISE:
            self._by_jax[step] = _bound(equation.primitive, equation.params, ranks)

    # --- programs kept from an earlier process --------------------------------------------------

    def _keep(self, place: pathlib.Path) -> None:
        """Write the program aside, then into place; where nothing can be written, do without."""
        if self._by_jax:
            return
        shape = jax.tree.unflatten(self._out_tree, range(self._out_tree.num_leaves))
        plain = [tuple(step) for step in self._steps]
        kept = (plain, self._values, self._inputs, self._outputs, shape)
        with contextlib.suppress(OSError):
            place.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=place.parent, delete=False) as file:
                pickle.dump(kept, file, pickle.HIGHEST_PROTOCOL)
            pathlib.Path(file.name).replace(place)
            by_age = sorted(place.parent.iterdir(), key=lambda path: path.stat().st_mtime)
            for old in by_age[:-MOST_KEPT]:
                old.unlink(missing_ok=True)

    def _read(self, place: pathlib.Path) -> bool:
        """Whether a program of an earlier process was found and read; damage only costs time."""
        try:
            plain, values, inputs, outputs, shape = pickle.loads(place.read_bytes())
        except Exception:
            return False
        self._steps = [Step(*step) for step in plain]
        self._values, self._inputs, self._outputs = values, inputs, outputs
        self._by_jax = {}
        self._out_tree = jax.tree.structure(shape)
        return True


def program(function: Callable, *example: Any) -> Program:
    """The program of a module's function for arguments of this structure, traced once."""
    return _programs(function, jax.tree.structure(example))


@functools.lru_cache(maxsize=64)
def _programs(function: Callable, structure: Any) -> Program:
    numbers = jax.tree.unflatten(structure, [1.0] * structure.num_leaves)
    return Program(function, *numbers, name=f"{function.__module__}.{function.__qualname__}")


def _runner(step: Step, by_jax: dict[Step, Callable]) -> Callable:
    if step.primitive in ELEMENTWISE:
        rule = ELEMENTWISE[step.primitive]
        return _aligned(rule, step.params) if step.params else rule
    if step.primitive in RULES:
        return RULES[step.primitive][0](step.params, step.rank)
    return by_jax[step]


def _aligned(rule: Callable, ranks: tuple[int, ...]) -> Callable:
    """An elementwise rule on operands of several ranks: the axis of points stays the first."""
    most = max(ranks)

    def run(*values):
        return rule(*[
            value if rank == most or np.ndim(value) == rank
            else value.reshape(*value.shape, *[1] * (most - rank))
            for value, rank in zip(values, ranks, strict=True)
        ])  # fmt: skip

    return run


def _bound(primitive: Any, params: dict, ranks: list[int]) -> Callable:
    """A primitive without a rule of ours, mapped over points where there are any."""

    def bound(*values):
        found = primitive.bind(*values, **params)
        return found if primitive.multiple_results else [found]

    def run(*values):
        axes = tuple(0 if v.ndim > rank else None for v, rank in zip(values, ranks, strict=True))
        with jax.enable_x64(True):
            mapped = bound if all(axis is None for axis in axes) else jax.vmap(bound, axes)
            return [np.asarray(x)[()] for x in mapped(*values)]

    return run


def _kept_at(name: str, tree: Any) -> pathlib.Path | None:
    """Where a program is kept: beside the compile cache, by what it depends on."""
    folder = getattr(jax.config, "jax_compilation_cache_dir", None)
    if not folder:
        return None
    key = hashlib.sha256("\n".join([name, str(tree), _source()]).encode()).hexdigest()
    return pathlib.Path(folder) / "programs" / key


@functools.cache
def _source() -> str:
    """What a traced program depends on besides its structure: our code and a user's, JAX, numpy."""
    root = pathlib.Path(__file__).parent
    found = [jax.__version__, np.__version__]
    for folder, _, names in sorted(os.walk(root)):
        for name in sorted(names):
            if name.endswith(".py"):
                state = (pathlib.Path(folder) / name).stat()
                found.append(f"{folder}/{name} {state.st_size} {state.st_mtime_ns}")
    for path in filter(None, os.environ.get("DSE_EXTENSIONS", "").split(os.pathsep)):
        with contextlib.suppress(OSError):
            found.append(pathlib.Path(path).read_text("utf-8"))
    return "\n".join(found)

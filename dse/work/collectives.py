"""Collectives: bytes a chip sends and rounds it waits, per link domain.

Each algorithm is a function of the size and the group; a group larger than the scale-up domain is
done inside domains first and between them second. A round is one exchange among ``participants``:
how long it takes is the fabric's business (`dse.resources.links`).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp

from dse import smooth
from dse.work.table import Scalar


class Traffic(NamedTuple):
    """What one chip sends and waits for in one domain."""

    sent_bytes: Scalar
    rounds: Scalar
    participants: Scalar


def ring(size_bytes: Scalar, group: Scalar) -> Traffic:
    """All-reduce as reduce-scatter and all-gather around a ring, ``group - 1`` steps each."""
    return Traffic(2 * (group - 1) / group * size_bytes, 2 * (group - 1), jnp.minimum(group, 2.0))


def one_shot(size_bytes: Scalar, group: Scalar) -> Traffic:
    """All-reduce in one round: everyone sends everything to everyone."""
    return Traffic((group - 1) * size_bytes, _present(group), group)


def two_shot(size_bytes: Scalar, group: Scalar) -> Traffic:
    """All-reduce as a direct reduce-scatter, then a direct all-gather."""
    return Traffic(2 * (group - 1) / group * size_bytes, 2 * _present(group), group)


def tree(size_bytes: Scalar, group: Scalar) -> Traffic:
    """All-reduce up and down a binary tree."""
    return Traffic(
        2 * size_bytes * _present(group), 2 * smooth.log2(group), jnp.minimum(group, 2.0)
    )


def in_switch(size_bytes: Scalar, group: Scalar) -> Traffic:
    """All-reduce summed inside the switch: each chip sends its part once (NVLink SHARP)."""
    return Traffic(size_bytes * _present(group), _present(group), group)


def _present(group: Scalar) -> Scalar:
    """1 for a group of two or more chips, 0 for one; linear between for relaxed counts."""
    return jnp.clip(group - 1, 0.0, 1.0)


ALL_REDUCE: dict[str, Callable[[Scalar, Scalar], Traffic]] = {
    "ring": ring,
    "one_shot": one_shot,
    "two_shot": two_shot,
    "tree": tree,
    "in_switch": in_switch,
}


def all_gather(size_bytes: Scalar, group: Scalar) -> Traffic:
    """Each chip sends its share of the result to every other chip, one round."""
    return Traffic((group - 1) / group * size_bytes, _present(group), group)


def all_to_all(size_bytes: Scalar, group: Scalar) -> Traffic:
    """Each chip sends ``size / group`` to each chip, itself included (which costs nothing)."""
    return Traffic((group - 1) / group * size_bytes, _present(group), group)


# All-reduces whose second half gathers: shares summed between domains ride along in it.
ENDS_IN_GATHER = ("ring", "two_shot")
COLLECTIVES = ALL_REDUCE | {"all_gather": all_gather, "all_to_all": all_to_all}


def across_domains(name: str, size_bytes: Scalar, group: Scalar, domain: Scalar):
    """Traffic inside the scale-up domain and between domains, for a group placed in order.

    An all-reduce reduces inside, then sums each of the ``inside`` shares between domains; where
    the algorithm has no gather of its own inside, one follows, so that all chips hold all sums.
    In an all-to-all the share ``1 - domain / group`` leaves the domain (DeepEP's off-node bytes).

    Returns:
        (scale-up traffic, scale-out traffic)
    """
    inside = jnp.minimum(group, domain)
    outside = group / inside
    if name == "all_to_all":
        up = Traffic(size_bytes * (inside - 1) / group, _present(inside), inside)
        out = Traffic(size_bytes * (1 - inside / group), _present(outside), outside)
        return up, out
    up = COLLECTIVES[name](size_bytes, inside)
    between = two_shot if name in ALL_REDUCE else all_gather
    if name in ALL_REDUCE and name not in ENDS_IN_GATHER:
        crosses, gather = _present(outside), all_gather(size_bytes, inside)
        sent = up.sent_bytes + crosses * gather.sent_bytes
        up = Traffic(sent, up.rounds + crosses * gather.rounds, up.participants)
    return up, between(size_bytes / inside, outside)

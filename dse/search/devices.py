"""Batches over all devices of this machine."""

import functools
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec


@functools.cache
def count() -> int:
    """How many devices there are."""
    return len(jax.local_devices())


@functools.cache
def _mesh() -> Mesh:
    return Mesh(np.array(jax.local_devices()), ("designs",))


def spread(columns: Any) -> Any:
    """Arrays whose last axis counts designs, that axis cut over all devices.

    What is compiled for them then runs on all; designs have nothing to say to each other. With one
    device, and where the designs cannot be dealt out evenly, arrays stay as they are.
    """
    if count() == 1:
        return columns
    return jax.tree.map(_cut, columns)


def _cut(array: Any) -> Any:
    if np.shape(array)[-1] % count():
        return array
    last = PartitionSpec(*[None] * (np.ndim(array) - 1), "designs")
    return jax.device_put(array, NamedSharding(_mesh(), last))

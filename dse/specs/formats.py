"""Number formats: bits a stored value takes, scales included, and the arithmetic it runs on.

Bits are those of the formats' own definitions: NVFP4 carries an 8-bit scale per 16 values
(4 + 8/16), MXFP4 one per 32 (4 + 8/32; OCI MX specification v1.0), INT4 is counted with a 16-bit
scale per 32 values. ``fp4`` is scale-free, for reproducing papers that count it so.
"""

from typing import NamedTuple

from dse.specs.schema import SpecError, nearest


class Format(NamedTuple):
    """How a number format is stored and on which arrays it is multiplied."""

    bits: float
    arithmetic: tuple[str, ...]  # preferred first; a chip uses the first it has

    @property
    def bytes(self) -> float:
        """Bytes of one stored value, scales included."""
        return self.bits / 8


# Activations are quantized to the arithmetic on the fly; 4-bit integers run as W4A8.
FORMATS = {
    "bf16": Format(16.0, ("bf16",)),
    "fp8": Format(8.0, ("fp8", "bf16")),
    "int8": Format(8.0, ("int8", "fp8", "bf16")),
    "int4": Format(4.5, ("fp8", "int8", "bf16")),
    "fp4": Format(4.0, ("fp4", "fp8", "int8", "bf16")),
    "nvfp4": Format(4.5, ("fp4", "fp8", "int8", "bf16")),
    "mxfp4": Format(4.25, ("fp4", "fp8", "int8", "bf16")),
}


def format_of(name: str, where: str = "format") -> Format:
    """A format by name.

    Raises:
        SpecError: unknown name, with the nearest known one.
    """
    if name not in FORMATS:
        raise SpecError(where, [f"{name!r} is not a number format{nearest(name, FORMATS)}"])
    return FORMATS[name]


def arithmetic_of(name: str, available) -> str:
    """The arithmetic a chip multiplies a stored format in.

    The first of the format's preferences that the chip has (H100 multiplies NVFP4 weights in
    fp8); a chip with none of them uses its first format.
    """
    return next((a for a in format_of(name).arithmetic if a in available), next(iter(available)))

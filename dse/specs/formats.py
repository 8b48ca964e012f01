"""Number formats: bits a stored value takes, scales included, and the arithmetic it runs on.

Bits are those of the formats' own definitions: NVFP4 carries an 8-bit scale per 16 values
(4 + 8/16), MXFP4 one per 32 (4 + 8/32; OCI MX specification v1.0), INT4 is counted with a 16-bit
scale per 32 values. ``fp4`` is scale-free, for reproducing papers that count it so.
"""

from typing import NamedTuple


class Format(NamedTuple):
    """How a number format is stored and on which arrays it can be multiplied."""

    bits: float
    stand_ins: tuple[str, ...]  # arithmetic that multiplies it, narrowest first

    @property
    def bytes(self) -> float:
        """Bytes of one stored value, scales included."""
        return self.bits / 8


FORMATS = {
    "bf16": Format(16.0, ("bf16",)),
    "fp8": Format(8.0, ("fp8", "bf16")),
    "int8": Format(8.0, ("int8", "fp8", "bf16")),
    "int4": Format(4.5, ("fp4", "int8", "fp8", "bf16")),
    "fp4": Format(4.0, ("fp4", "fp8", "int8", "bf16")),
    "nvfp4": Format(4.5, ("fp4", "fp8", "int8", "bf16")),
    "mxfp4": Format(4.25, ("fp4", "fp8", "int8", "bf16")),
}


def math_of(stored: str, activations: str, available) -> str:
    """The narrowest arithmetic of a chip that can multiply two stored formats.

    The wider operand decides: 4-bit weights with bf16 activations are multiplied in bf16. A chip
    without that arithmetic uses the next wider one it has (H100 multiplies NVFP4 weights in fp8).
    """
    wider = max(stored, activations, key=lambda name: FORMATS[name].bits)
    for name in FORMATS[wider].stand_ins:
        if name in available:
            return name
    return "bf16" if "bf16" in available else next(iter(available))

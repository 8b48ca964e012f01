"""Tables of measurements: the one that ships, and any CSV with the same columns."""

import dataclasses
import pathlib
from typing import Any

import pandas as pd

from dse.specs.errors import SpecError

SHIPPED = pathlib.Path(__file__).with_name("published.csv")
# Columns that make a table one of whole decode steps; the others are read where present.
DECODE_COLUMNS = ("hardware", "model", "tp", "batch_or_concurrency")
MEASURED_COLUMNS = {
    "tpot_s": ("tpot_ms", 1e-3),
    "power_w": ("power_w_per_chip", 1.0),
    "j_per_token": ("joules_per_output_token", 1.0),
}
# An op table has the latency of single operators on one system; these columns say which kind.
OP_COLUMNS = {
    "gemm": ("gemm_dtype", "m", "n", "k"),
    "attention": ("batch_size", "seq_len", "num_heads", "num_key_value_heads", "head_dim"),
    "moe": ("moe_dtype", "num_tokens", "hidden_size", "inter_size", "topk", "num_experts"),
    "mla": ("num_heads", "batch_size", "seq_len", "mla_dtype"),
    "all_reduce": ("allreduce_dtype", "num_gpus", "message_bytes"),
}
OP_COMMON = ("system", "latency_us")


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows of one kind (``decode`` or a key of `OP_COLUMNS`) and where they are from."""

    kind: str
    origin: str
    rows: list[dict[str, Any]]


def shipped() -> Table:
    """The cited table of published figures that comes with the package."""
    return read(str(SHIPPED))


def read(path: str) -> Table:
    """A CSV or compressed CSV; what is in it is told by its columns.

    Raises:
        SpecError: no such file, not a table, or columns of no known kind.
    """
    try:
        frame = pd.read_csv(path, low_memory=False)
    except (OSError, ValueError, UnicodeDecodeError, EOFError) as error:
        reason = getattr(error, "strerror", None) or str(error).strip().splitlines()[-1]
        raise SpecError(path, [f"cannot be read as a CSV table: {reason}"]) from None
    frame.columns = [str(name).strip() for name in frame.columns]
    rows = [{str(k): v for k, v in row.items()} for row in frame.to_dict("records")]
    return Table(_kind(path, set(frame.columns)), path, rows)


def _kind(path: str, columns: set[str]) -> str:
    if set(DECODE_COLUMNS) <= columns and columns & {c for c, _ in MEASURED_COLUMNS.values()}:
        return "decode"
    if set(OP_COMMON) <= columns:
        for kind, needed in OP_COLUMNS.items():
            if set(needed) <= columns:
                return kind
    raise SpecError(path, _missing(columns))


def _missing(columns: set[str]) -> list[str]:
    """What would make it a table of decode steps, and of each kind of operator."""
    measured = [column for column, _ in MEASURED_COLUMNS.values()]
    lacks = [c for c in DECODE_COLUMNS if c not in columns]
    if not columns & set(measured):
        lacks.append(f"one of {', '.join(measured)}")
    problems = [f"not a table of decode steps: it lacks {', '.join(lacks)}"]
    for kind, needed in OP_COLUMNS.items():
        lacks = [c for c in (*OP_COMMON, *needed) if c not in columns]
        problems.append(f"not a table of {kind} latencies: it lacks {', '.join(lacks)}")
    return problems


def number(row: dict[str, Any], column: str) -> float | None:
    """A finite number of a row, or None where it is absent, empty or not a number."""
    try:
        value = float(row.get(column, "nan"))
    except (TypeError, ValueError):
        return None
    return value if abs(value) < float("inf") and value == value else None


def word(row: dict[str, Any], column: str) -> str:
    """A text of a row, empty where it is absent."""
    value = row.get(column)
    return value.strip() if isinstance(value, str) else ""

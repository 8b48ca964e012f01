"""Where runs are kept, without reading any: shell completion lists names in a tenth of a second."""

import pathlib

ROOT = pathlib.Path("runs")


def names(root: pathlib.Path = ROOT) -> list[str]:
    """Names of the runs under a folder."""
    found = root.glob("*/provenance.json") if root.is_dir() else []
    return sorted(path.parent.name for path in found)

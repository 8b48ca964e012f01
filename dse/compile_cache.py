"""The persistent compile cache: the second time a question of one shape is asked, XLA is not."""

import os
import pathlib
import warnings

# Also the smallest: deploying a point runs some 40 operations one by one, programs of 15 ms each
# that every chip and model shares; reading them back takes a quarter of that.
SHORTEST_COMPILE_S = 0.0


def folder() -> pathlib.Path:
    """Where compiled programs are kept: JAX's own variable, else the user's cache folder."""
    stated = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    if stated:
        return pathlib.Path(stated)
    home = os.environ.get("XDG_CACHE_HOME")
    return (pathlib.Path(home) if home else pathlib.Path.home() / ".cache") / "dse" / "jax"


def enable() -> bool:
    """Turn the cache on before the first compilation; where nothing can be written, do without.

    Called by the command line and by studies, never at import: a library must not decide where
    its caller's programs are kept.
    """
    import jax

    try:
        place = folder()
        place.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # no home, a file in the way, a read-only disk
        return False
    if not os.access(place, os.W_OK):
        return False
    jax.config.update("jax_compilation_cache_dir", str(place))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", SHORTEST_COMPILE_S)
    for verb in ("reading", "writing"):  # a full disk or a damaged entry only costs time
        warnings.filterwarnings("ignore", message=f"Error {verb} persistent compilation cache")
    return True

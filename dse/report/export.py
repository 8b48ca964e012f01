"""Figures to files: HTML always (self-contained), PNG and SVG where a browser is present."""

import pathlib
import shutil
from typing import Any

from dse.specs.errors import SpecError

BROWSERS = ("chromium", "google-chrome", "google-chrome-stable", "chromium-browser", "chrome")
KINDS = (".html", ".png", ".svg")


class NoBrowser(Exception):  # noqa: N818 - a missing optional part, answered by its install line
    """Pictures need kaleido and a Chrome or Chromium."""


def write_figure(figure: Any, path: str | pathlib.Path) -> pathlib.Path:
    """Write a figure by the ending of its name.

    Raises:
        SpecError: an ending that is none of html, png, svg, or a place that cannot be written.
        NoBrowser: png or svg without kaleido or without a browser.
    """
    path = pathlib.Path(path)
    kind = path.suffix.lower()
    if kind not in KINDS:
        raise SpecError("-o", [f"{path.name!r}: wanted a name ending in html, png or svg"])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if kind == ".html":
            path.write_text(figure.to_html(include_plotlyjs=True, full_html=True), "utf-8")
        else:
            path.write_bytes(_image(figure, kind[1:]))
    except OSError as error:
        raise SpecError("-o", [f"{path}: {error.strerror or error}"]) from None
    return path


def browser() -> str | None:
    """A Chrome or Chromium on the path."""
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


def _image(figure: Any, kind: str) -> bytes:
    """An image at twice the layout's size, through kaleido."""
    try:
        import kaleido  # noqa: F401
    except ImportError:
        raise NoBrowser("pip install 'dse[images]', and a Chrome or Chromium") from None
    if browser() is None:
        raise NoBrowser("PNG and SVG need a Chrome or Chromium; HTML always works") from None
    return figure.to_image(format=kind, scale=2)

"""A report of a run as one HTML file that opens offline: template, style, script, figures."""

import functools
import pathlib
from typing import Any

import jinja2
import markupsafe

from dse.report import charts
from dse.report.page import sections
from dse.specs.errors import SpecError

HERE = pathlib.Path(__file__).parent


def write(contents: dict[str, Any], path: pathlib.Path, dark: bool = False) -> None:
    """Write the report of what `dse.cli.contents.report` gathered.

    Raises:
        SpecError: a place that cannot be written.
    """
    text = html(contents, dark)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    except OSError as error:
        raise SpecError("-o", [f"{path}: {error.strerror or error}"]) from None


def html(contents: dict[str, Any], dark: bool = False) -> str:
    """The report as text; names of a study are escaped, whatever they hold."""
    view = sections.view(contents)
    return (
        _templates()
        .get_template("report.html")
        .render(
            **view,
            scheme="dark" if dark else "auto",
            style=_own("report.css"),
            script=_own("report.js"),
            plotly=markupsafe.Markup(charts.library()),
        )
    )


@functools.cache
def _templates() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE), autoescape=True, trim_blocks=True,
        lstrip_blocks=True, undefined=jinja2.StrictUndefined,
    )  # fmt: skip


def _own(name: str) -> Any:
    """A file of this folder, as it is."""
    return markupsafe.Markup((HERE / name).read_text("utf-8"))

"""``dse explore``: the what-if page, on this machine."""

import dataclasses
import inspect
import re
import webbrowser
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from dse.cli.console import note
from dse.cli.point import Point, ask, is_design, takes_point
from dse.cli.whatif import case_of, helping, words_of
from dse.specs.errors import SpecError

RUN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
PORT = 8061
DEFAULT_CHIP = "h100_sxm"
Port = Annotated[
    int, typer.Option(min=0, max=65535, help="Port on this machine; 0 takes a free one.",
                      rich_help_panel="Page"),
]  # fmt: skip
Open = Annotated[
    bool, typer.Option("--open/--no-open", help="Open a browser.", rich_help_panel="Page")
]


def repeats() -> dict[str, bool]:
    """Options of a question as a page writes them -> whether they repeat."""
    fields = {field.name: "list" in str(field.type) for field in dataclasses.fields(Point)}
    return {{"settings": "set"}.get(name, name): many for name, many in fields.items()}


@dataclasses.dataclass(frozen=True)
class Lent:
    """What the page borrows from the command line: reading words, and what helps."""

    opened: frozenset[str]  # chips named on the command line itself, which may be files

    def point(self, words: Mapping[str, Any]) -> Point:
        """Words of the page as options; a design only of a run under ``runs/``."""
        chip = str(words.get("chip", ""))
        if is_design(chip) and chip not in self.opened:
            run = chip.rpartition("#")[0]
            if not RUN_NAME.fullmatch(run) or ".." in run:
                raise SpecError("chip", [f"{chip[:80]!r}: wanted RUN#ID of a run under runs/"])
        fields = {{"set": "settings"}.get(name, name): value for name, value in words.items()}
        return Point(**fields)

    def read(self, words: Mapping[str, Any]) -> Any:
        """The case of a question."""
        return case_of(ask(self.point(words)))

    def command(self, words: Mapping[str, Any]) -> str:
        """The ``dse whatif`` that asks the same."""
        return f"dse whatif {words_of(self.point(words))}"

    def helping(self, words: Mapping[str, Any], result: Mapping[str, Any]) -> list[str]:
        """The nearest changes that make a question feasible."""
        return helping(ask(self.point(words)), result)


@takes_point
def explore(point: Point, port: Port = PORT, open_: Open = True) -> None:
    """The what-if page: sliders, curves and numbers in a browser; nothing leaves this machine.

    dse explore h100_sxm --model llama-3.1-70b --set hbm.bandwidth=2x
    """
    server = server_of(point, port)

    def ready(address: str) -> None:
        note(f"dse explore: {address} (this machine only; Ctrl-C ends it)")
        if open_:
            webbrowser.open(address)

    server.run(ready)


def _chip_is_optional(command: Any) -> None:
    """Let the page start without a chip; elsewhere one must be named."""
    signature = inspect.signature(command)
    chip = signature.parameters["chip"].replace(default=DEFAULT_CHIP)
    rest = [p for name, p in signature.parameters.items() if name != "chip"]
    command.__signature__ = signature.replace(parameters=[chip, *rest])


_chip_is_optional(explore)


def server_of(point: Point, port: int) -> Any:
    """A server of the page that starts with a question.

    Raises:
        SpecError: a question that cannot be read, a port that cannot be opened.
    """
    from dse.explore.answer import Answers
    from dse.explore.app import Page, app_of
    from dse.explore.query import Asked, Options
    from dse.explore.server import Server

    lent = Lent(frozenset([point.chip]))
    page = Page(Answers(lent), Options(repeats()), Asked(words(point)).query, lent.opened)
    with page.guarded():
        lent.read(page.asked("").words)
    return Server(app_of(page), port)


def words(point: Point) -> dict[str, Any]:
    """The options that a command line gave, as the page writes them."""
    given = {field.name: getattr(point, field.name) for field in dataclasses.fields(Point)}
    return {{"settings": "set"}.get(name, name): value for name, value in given.items() if value}

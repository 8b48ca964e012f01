"""A command line run in this process: exit code, standard output, standard error."""

import json
from typing import NamedTuple

import pytest

from dse.cli.main import main
from dse.specs import library


class Answer(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self):
        """The one object on standard output; NaN and Infinity are refused."""
        return json.loads(self.out, parse_constant=_refuse)


def _refuse(word):
    raise ValueError(f"{word} is not JSON")


@pytest.fixture
def dse(capsys, monkeypatch):
    """Run ``dse`` with these words; nothing it does may look like a traceback."""
    folders = list(library._extra)

    def run(*words):
        library.forget()
        capsys.readouterr()
        monkeypatch.delenv("COLUMNS", raising=False)
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err, err
        assert (code == 1) == ("internal error" in err), err
        return Answer(code, out, err)

    yield run
    library._extra[:] = folders
    library.forget()

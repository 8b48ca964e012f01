"""Optuna's dashboard opens on a finished run and shows it truly; nothing is listened to."""

import io
import json
import math

import pytest

from dse.cli.main import main
from dse.search import dashboard
from dse.specs.errors import SpecError

GOALS = ("user_tokens_per_s", "system_tokens_per_s_per_w")
FLOAT32 = 1e-6  # log10 of the goals, which a search computes in float32


def ask(app, path, method="GET", host="127.0.0.1:8080"):
    """(status, body) of one request, made in this process."""
    said = []
    environ = {
        "REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": "", "SERVER_NAME": "here",
        "SERVER_PORT": "80", "HTTP_HOST": host, "wsgi.input": io.BytesIO(), "wsgi.version": (1, 0),
        "wsgi.errors": io.StringIO(), "wsgi.url_scheme": "http", "wsgi.multithread": True,
        "wsgi.multiprocess": False, "wsgi.run_once": False,
    }  # fmt: skip
    parts = app(environ, lambda status, headers, error=None: said.append(status))
    body = b"".join(parts)
    getattr(parts, "close", lambda: None)()
    return said[0], body


@pytest.fixture(scope="module")
def app(finished):
    pytest.importorskip("optuna_dashboard", reason="needs pip install 'dse[dashboard]'")
    return dashboard.application(finished)


def test_it_shows_every_trial_and_the_front_of_the_run(app, finished):
    front = finished.front()
    (summary,) = json.loads(ask(app, "/api/studies")[1])["study_summaries"]
    assert summary["study_name"] == front["study"]
    study = json.loads(ask(app, f"/api/studies/{summary['study_id']}")[1])
    assert study["objective_names"] == [f"log10_{goal}" for goal in GOALS]
    assert study["directions"] == ["maximize"] * 2
    assert len(study["trials"]) == front["trials"] == 24
    designs = {design["id"]: design for design in front["designs"]}
    seen = 0
    for trial in study["best_trials"]:
        said = {item["key"]: item["value"] for item in trial["user_attrs"]}
        design = designs.get(said["design"].strip('"'))
        if design:
            logs = [math.log10(design[goal]) for goal in GOALS]
            assert trial["values"] == pytest.approx(logs, abs=FLOAT32)
            seen += 1
    assert seen >= 2


def test_the_page_itself_is_served(app):
    status, body = ask(app, "/dashboard")
    assert status.startswith("200")
    assert b"Optuna Dashboard" in body


def test_nothing_is_changed_and_no_foreign_name_answered(app, finished):
    before = finished.journal.read_bytes()
    for method in ("POST", "PUT", "DELETE"):
        assert ask(app, "/api/studies/0", method)[0].startswith("403")
    for host in ("evil.example", "evil.example:8080", "127.0.0.1.evil.example"):
        assert ask(app, "/api/studies", host=host)[0].startswith("403")
    for host in ("localhost", "127.0.0.1:1", "[::1]:8080"):
        assert ask(app, "/api/studies", host=host)[0].startswith("200")
    assert finished.journal.read_bytes() == before


def test_a_server_is_bound_to_this_machine_and_a_taken_port_refused(app):
    with dashboard.server(app, 0) as server:
        assert server.server_address[0] == "127.0.0.1"
        with pytest.raises(SpecError, match="--port 0 picks a free one"):
            dashboard.server(app, server.server_port)


def test_without_the_extra_the_pip_line_is_said(finished, monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "optuna_dashboard", None)
    assert main(["dashboard", str(finished.folder)]) == 5
    assert "pip install 'dse[dashboard]'" in capsys.readouterr().err


def test_no_such_run(capsys):
    assert main(["dashboard", "no-such-run"]) == 2
    assert "is not a run" in capsys.readouterr().err

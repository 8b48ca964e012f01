"""The server: foreign hosts and pages refused, nothing from outside, no files by address."""

import http.client
import json
import re
import sys

import pytest

from dse.cli.explore import server_of
from dse.cli.main import main
from dse.cli.point import Point
from dse.explore.app import Page
from dse.specs.errors import SpecError


@pytest.fixture(scope="module")
def get(server):
    """``get(path, Host=...)``: status, headers and text."""

    def asked(path, body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        method = "GET" if body is None else "POST"
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
        connection.close()
        return answer.status, dict(answer.getheaders()), text

    return asked


@pytest.fixture(scope="module")
def ask(get):
    """The answer of the page's own address to a query."""

    def asked(query, **more):
        body = json.dumps({"query": query, **more})
        status, _, text = get("/quick", body, Content_Type="application/json")
        assert status == 200, text
        return json.loads(text)

    return asked


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1", "192.168.0.1:80"])
def test_a_foreign_host_is_refused(get, host):
    for path in ("/", "/_dash-layout", "/assets/explore.js"):
        assert get(path, Host=host)[0] == 403


def test_a_page_of_another_site_is_refused(get):
    assert get("/", Origin="http://evil.example")[0] == 403
    assert get("/quick", "{}", Origin="null")[0] == 403


def test_the_page_names_nothing_outside(get):
    status, headers, text = get("/")
    assert status == 200
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    layout = get("/_dash-layout")[2]
    sheet = get("/assets/explore.css")[2] + get("/assets/explore.js")[2]
    assert not re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}", text + layout)
    assert not re.findall(r"https?://|@import|url\(", sheet)
    for path in re.findall(r'(?:src|href)="([^"]+)"', text):
        assert path.startswith("/")
        assert get(path)[0] in (200, 204), path


def test_a_large_request_is_refused(get):
    text = json.dumps({"query": "x" * 70_000})
    assert get("/quick", text, Content_Type="application/json")[0] == 413


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null"])
def test_what_is_no_question_is_refused(get, text):
    assert get("/quick", text, Content_Type="application/json")[0] == 400


@pytest.mark.parametrize("path", [
    "/assets/../server.py", "/assets/%2e%2e/server.py", "/server.py", "/hwspecs/sources.toml",
    "/_dash-component-suites/dash/../../../x.py",
])  # fmt: skip
def test_no_file_outside_the_assets_is_served(get, path):
    status, _, text = get(path)
    assert "import " not in text
    assert "dse-" not in text
    assert status in (200, 404, 500)


@pytest.mark.parametrize(("query", "said"), [
    ("chip=h100_sxn", "did you mean h100_sxm?"),
    ("chip=../../hwspecs/chips/h100_sxm.toml", "is not one of the chips"),
    ("chip=h100_sxm&model=/etc/passwd", "is not one of the models"),
    ("chip=h100_sxm&set=memory.hbm.technology=../../secret.toml", "is not one of the memory"),
    ("chip=h100_sxm&set=logic=/etc/passwd", "is not one of the logic"),
    ("chip=h100_sxm&set=hbm.bandwith=2x", "did you mean"),
    ("chip=h100_sxm&set=voltage=3GB", "is not a unit of this kind"),
    ("chip=..%2F..%23low", "wanted RUN#ID"),
    ("chip=nothing%23low", "is not a run"),
    ("tp=three", "--tp"),
    ("colour=red", "is unknown"),
    ("fidelity=exact", "fidelity"),
])  # fmt: skip
def test_what_cannot_be_read_is_answered_in_words(ask, query, said):
    answer = ask(query)
    assert answer["ok"] is False
    assert said in json.dumps(answer["shown"]["message"])
    assert "Traceback" not in json.dumps(answer)


def test_values_are_escaped_by_what_shows_them(ask):
    answer = ask("chip=<script>alert(1)</script>")
    texts = json.dumps(answer["shown"]["message"])
    assert '"type": "Li"' in texts or '"type":"Li"' in texts
    assert "dangerously" not in texts


def test_a_bug_is_told_without_a_traceback(monkeypatch, capfd):
    page = Page(None, None, "", frozenset())  # type: ignore[arg-type]
    answer = page.answer("quick", {"query": "chip=x"})
    assert "inside dse" in str(answer["shown"])
    assert not answer["ok"]
    assert "AttributeError" in capfd.readouterr().err


def test_a_port_in_use_is_answered(server):
    with pytest.raises(SpecError, match="in use"):
        server_of(Point("h100_sxm"), server.port)


def test_the_verb_refuses_what_it_cannot_read(capsys):
    assert main(["explore", "h100_sxn", "--no-open"]) == 2
    assert "did you mean h100_sxm" in capsys.readouterr().err


def test_a_chip_of_ones_own_file_is_opened_where_the_command_line_named_it(tmp_path, ask):
    file = tmp_path / "mine.toml"
    file.write_text('base = "h100_sxm"\nname = "Mine"\n', "utf-8")
    words = {"model": "llama-3.1-8b", "tp": "2"}
    made = server_of(Point(str(file), **words), 0)
    made.stop()
    assert "is not one of the chips" in json.dumps(ask(f"chip={file}")["shown"])


def test_without_dash_the_verb_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "dash", None)
    monkeypatch.delitem(sys.modules, "dse.explore.app")
    assert main(["explore", "--no-open"]) == 5
    assert "pip install 'dse[explore]'" in capsys.readouterr().err

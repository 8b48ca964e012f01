"""One page server in this process, and one headless browser where there is one."""

import json

import pytest

from dse import compile_cache
from dse.cli.explore import server_of
from dse.cli.main import main
from dse.cli.point import Point
from dse.report.export import browser as browser_path

START = {"model": "llama-3.1-8b", "workload": "chat-8k", "tp": "2", "batch": "16"}


@pytest.fixture(scope="session", autouse=True)
def compiled_once(request):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_COMPILATION_CACHE_DIR", str(request.config.cache.mkdir("jax")))
        compile_cache.enable()
        yield


@pytest.fixture(scope="session")
def server():
    """The page, started with an H100 at one operating point, on a free port."""
    made = server_of(Point("h100_sxm", **START), 0)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def whatif(capsys):
    """``dse whatif --json`` of these words."""

    def asked(*words):
        capsys.readouterr()
        main(["whatif", *words, "--json"])
        return json.loads(capsys.readouterr().out)

    return asked


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium of this machine; nothing is downloaded."""
    program = browser_path()
    if program is None:
        pytest.skip("no Chrome or Chromium on this machine: the page is not driven")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        made = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield made
        made.close()

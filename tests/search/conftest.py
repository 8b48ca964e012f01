"""One tiny study, run a few times per session; each test looks at what it left."""

import pathlib
import shutil

import pytest

from dse.search import runs, settings, storage, study
from dse.specs import library
from tests.search import postgres

STUDY = """
name = "tiny"
hardware = ["reticle_n3_stacked"]
model = "llama-3.1-8b"
workload = "chat-8k"
compare = ["h100_sxm"]

[space]
knobs = "none"

[space.hardware]
"voltage" = ["0.50 V", "0.90 V"]
"die" = { range = ["300 mm2", "830 mm2"], scale = "log" }
"memory.dram.areal" = { range = ["2 GB/s/mm2", "60 GB/s/mm2"], scale = "log" }

[space.deployment]
batch = { range = [1, 64], scale = "log2" }
tp = [1, 2, 4]

[constraints]
silicon = "<= 4000 mm2"

[search]
sampler = "nsga2"
seed = 3
trials = 24
population = 8
"""


@pytest.fixture(scope="session")
def study_file(tmp_path_factory) -> pathlib.Path:
    path = tmp_path_factory.mktemp("study") / "tiny.toml"
    path.write_text(STUDY)
    return path


def run_tiny(study_file, folder, trials=24, seed=None):
    library.forget()
    read = settings.read(str(study_file), trials=trials, seed=seed)
    found = runs.start(read, str(study_file), folder)
    study.run(read, found)
    return found


@pytest.fixture(scope="session")
def finished(study_file, tmp_path_factory):
    """A run of 24 trials; tests may read it, not change it."""
    return run_tiny(study_file, tmp_path_factory.mktemp("runs") / "tiny")


@pytest.fixture
def half(finished, study_file, tmp_path):
    """A run stopped after 8 of 24 trials."""
    folder = tmp_path / "half"
    read = settings.read(str(study_file), trials=24)
    found = runs.start(read, str(study_file), folder)
    search = study.Search(read, found)
    search.look_first()
    search.generation()
    return found, search


@pytest.fixture
def copied(finished, tmp_path):
    folder = tmp_path / "copied"
    shutil.copytree(finished.folder, folder)
    return runs.Run(folder)


class Runner:
    """The tiny study's settings, and its evaluators built once."""

    def __init__(self, read):
        self.settings = read
        self._evaluators = None

    def evaluators(self, read):
        from dse.search import batch

        if self._evaluators is None:
            self._evaluators = batch.evaluators(read)
        return self._evaluators


@pytest.fixture(scope="session")
def runner(study_file):
    return Runner(settings.read(str(study_file)))


@pytest.fixture(scope="session")
def done(finished):
    return finished


@pytest.fixture(scope="session")
def postgres_url():
    """A database of a private PostgreSQL; tests share it, each with studies of its own name."""
    pytest.importorskip("psycopg", reason="needs psycopg: pip install 'dse[distributed]'")
    programs = postgres.binaries()
    if programs is None:
        pytest.skip("no PostgreSQL: initdb is neither on PATH nor under /usr/lib/postgresql")
    with postgres.server(programs) as url:
        storage.close(storage.at(url))  # Optuna's tables, once for all tests
        yield url


@pytest.fixture(scope="module")
def compiled_once(runner):
    """The tiny study's evaluators wherever some are asked for."""
    from dse.search import batch

    compiled = runner.evaluators(runner.settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch, "evaluators", lambda _: compiled)
        yield


def read_study(folder, text):
    """The settings of a study of this text."""
    file = folder / "study.toml"
    file.write_text(text, "utf-8")
    return settings.read(str(file))


@pytest.fixture(scope="session")
def refined_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("refined") / "tiny.toml"
    path.write_text(STUDY.replace('"nsga2"', '"gradient"'))
    return path


@pytest.fixture(scope="session")
def refined_run(refined_file, tmp_path_factory):
    """A run of the gradient sampler and the search that made it."""
    library.forget()
    read = settings.read(str(refined_file), trials=40)
    folder = runs.start(read, str(refined_file), tmp_path_factory.mktemp("runs") / "refined")
    search = study.Search(read, folder)
    search.gradient_phase()
    search.generation()
    folder.write_front(read, search.archive, search.evaluators, search.state)
    return search


@pytest.fixture(scope="session")
def tools(refined_run):
    """(evaluator, polisher) of the tiny study's one family."""
    name = next(iter(refined_run.evaluators))
    return refined_run.evaluators[name], refined_run.polishers[name]


@pytest.fixture(scope="session")
def form(tools):
    """The tiny study's one family in convex form."""
    from dse.search.convex import ConvexForm

    return ConvexForm(tools[0])

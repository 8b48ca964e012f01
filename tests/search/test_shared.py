"""The shared study: who opens it, who takes an island, who is gone, what is refused."""

import dataclasses
import gc
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from optuna.trial import TrialState

from dse.cli.main import main
from dse.search import settings, shared, storage
from dse.search.shared import TICKET, Heart, Shared, Superseded
from dse.specs import library
from dse.specs.errors import SpecError
from tests.search.conftest import STUDY

ISLANDS = 3


OPENED: list[Shared] = []


def opened(place, read, islands=ISLANDS):
    found = Shared(place, read.name)
    OPENED.append(found)
    found.open(read, islands, islands)
    return found


@pytest.fixture(autouse=True)
def closed():
    yield
    while OPENED:
        OPENED.pop().close()


@pytest.fixture
def read(study_file):
    library.forget()
    return settings.read(str(study_file))


@pytest.fixture(params=["journal", "postgres"])
def place(request, tmp_path):
    if request.param == "journal":
        return f"{storage.JOURNAL}{tmp_path / 'journal.log'}"
    return request.getfixturevalue("postgres_url")


@pytest.fixture
def journal(tmp_path):
    return f"{storage.JOURNAL}{tmp_path / 'journal.log'}"


def named(read, request):
    """The study under a name of its own, for a storage that tests share."""
    return dataclasses.replace(read, name=request.node.name)


def states(found):
    trials = found.study.get_trials(deepcopy=False)
    return [(t.user_attrs[TICKET], t.state) for t in trials if TICKET in t.user_attrs]


def test_each_island_is_taken_once_however_many_ask(place, read, request):
    read = named(read, request)
    with ThreadPoolExecutor(4) as pool:
        everyone = list(pool.map(lambda _: opened(place, read), range(4)))
        assert len(states(everyone[0])) == ISLANDS
        taken = list(pool.map(lambda one: one.take(), everyone))
    islands = [ticket.island for ticket in taken if ticket is not None]
    assert sorted(islands) == [0, 1, 2]
    assert all(one.islands == ISLANDS for one in everyone)


# Optuna leaves the connection of a storage that it could not set up to the garbage collector.
@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore:.*connection.*:ResourceWarning"
)
def test_an_empty_database_may_be_entered_by_several_at_once(postgres_url):
    import sqlalchemy

    server = sqlalchemy.create_engine(postgres_url.replace("://", "+psycopg://"),
                                      isolation_level="AUTOCOMMIT")  # fmt: skip
    with server.connect() as connection:
        connection.execute(sqlalchemy.text("CREATE DATABASE empty"))
    server.dispose()
    url = postgres_url.replace("/postgres?", "/empty?")
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: storage.at(url), range(4)))
    for one in found:
        storage.close(one)
    gc.collect()


def test_an_island_left_is_another_workers_and_a_finished_one_is_nobodys(place, read, request):
    found = opened(place, named(read, request))
    first, second = found.take(), found.take()
    found.release(first)
    assert found.take().island == first.island
    found.finish(second)
    assert found.view().unfinished == {0, 2}
    assert found.view().waiting == {2}


def test_a_silent_worker_is_reaped_and_must_stop_when_it_wakes(
    place, read, request, monkeypatch
):  # fmt: skip
    found = opened(place, named(read, request))
    ticket = found.take()
    assert found.reap(found.view()) == []
    monkeypatch.setattr(shared, "STALE_S", -1.0)
    assert found.reap(found.view()) == [shared.identity()]
    assert (ticket.island, TrialState.FAIL) in states(found)
    with pytest.raises(Superseded):
        found.save(ticket, [], {})
    with pytest.raises(Superseded):
        found.finish(ticket)
    assert found.take().island == ticket.island


def test_a_worker_that_died_on_this_machine_is_reaped_at_once(journal, read, monkeypatch):
    found = opened(journal, read)
    monkeypatch.setattr(shared, "identity", lambda: f"{shared.socket.gethostname()}:{2**22 + 1}")
    found.take()
    assert len(found.reap(found.view())) == 1
    assert found.view().waiting == {0, 1, 2}


def test_a_worker_elsewhere_is_left_alone_while_it_gives_signs(journal, read, monkeypatch):
    found = opened(journal, read)
    monkeypatch.setattr(shared, "identity", lambda: "elsewhere:1")
    monkeypatch.setattr(shared, "BEAT_S", 0.01)
    ticket = found.take()
    before = found.view().tickets[ticket.island].user_attrs[shared.SEEN]
    with Heart(found, ticket):
        while found.view().tickets[ticket.island].user_attrs[shared.SEEN] == before:
            time.sleep(0.01)
    assert found.reap(found.view()) == []


def test_a_larger_total_opens_finished_islands_again_and_a_smaller_one_is_refused(journal, read):
    found = opened(journal, read)
    for _ in range(ISLANDS):
        found.finish(found.take())
    grown = dataclasses.replace(read, search=dataclasses.replace(read.search, trials=48))
    assert opened(journal, grown).view().waiting == {0, 1, 2}
    with pytest.raises(SpecError, match="total of 48"):
        opened(journal, read)


def test_a_total_does_not_move_under_workers(journal, read):
    opened(journal, read).take()
    grown = dataclasses.replace(read, search=dataclasses.replace(read.search, trials=48))
    with pytest.raises(SpecError, match="workers are at"):
        opened(journal, grown)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("seed = 3", "seed = 4", "seed: was 3, is 4"),
        ("<= 4000 mm2", "<= 3000 mm2", r"constraints\.silicon: was '<= 4000 mm2'"),
        ('"830 mm2"]', '"800 mm2"]', r"axis die"),
        ("tp = [1, 2, 4]", "tp = [1, 2]", "deployment"),
    ],
)
def test_another_study_of_the_same_name_is_refused_with_what_changed(
    journal, read, tmp_path, old, new, said
):
    opened(journal, read)
    changed = tmp_path / "tiny.toml"
    changed.write_text(STUDY.replace(old, new))
    library.forget()
    with pytest.raises(SpecError, match=said):
        opened(journal, settings.read(str(changed)))


def test_another_package_another_spec_and_other_islands_are_refused(journal, read, monkeypatch):
    opened(journal, read)
    with pytest.raises(SpecError, match="--islands: was 3, is 2"):
        opened(journal, read, islands=2)
    plain = shared.identity_of
    monkeypatch.setattr(shared, "identity_of", lambda s: plain(s) | {
        "package_version": "9", "spec chips/h100_sxm.toml": "-"})  # fmt: skip
    with pytest.raises(SpecError) as caught:
        opened(journal, read)
    assert "package_version" in str(caught.value)
    assert "chips/h100_sxm.toml" in str(caught.value)


def test_a_study_that_dse_did_not_open_is_refused(journal, read, monkeypatch):
    from dse.search.journal import create

    create(storage.at(journal), read.name)
    monkeypatch.setattr(shared, "OPENING_S", 0.0)
    with pytest.raises(SpecError, match="did not open"):
        opened(journal, read)


# --- URLs -----------------------------------------------------------------------------------------

BAD = {
    "nonsense": "is no URL",
    "postgrsql://user@host/dse": "did you mean postgresql",
    "sqlite:///shared.db": "SQLite locks",
    "postgresql://user:secret@127.0.0.1:1/dse": "does not answer",
    "postgresql://user:secret@host:port/dse": "cannot be read",
    "postgresql://user@host/{dse": "cannot be read",
}


@pytest.mark.parametrize("url", BAD)
def test_a_bad_storage_is_named_without_a_traceback_a_password_or_a_folder(
    url, study_file, tmp_path, capsys
):
    folder = tmp_path / "run"
    assert main(["run", str(study_file), "--storage", url, "-o", str(folder)]) == 2
    said = capsys.readouterr().err
    assert BAD[url] in said
    assert "Traceback" not in said
    assert "secret" not in said
    assert not folder.exists()


@pytest.mark.parametrize(("url", "package"), [("postgresql://dse@db/dse", "psycopg"),
                                              ("grpc://proxy:13000", "grpc")])  # fmt: skip
def test_a_missing_driver_is_answered_with_the_line_that_installs_it(
    url, package, study_file, tmp_path, capsys, monkeypatch
):
    known = storage.importlib.util.find_spec
    monkeypatch.setattr(storage.importlib.util, "find_spec",
                        lambda name: None if name == package else known(name))  # fmt: skip
    folder = str(tmp_path / "run")
    assert main(["run", str(study_file), "--storage", url, "-o", folder]) == 5
    assert "pip install 'dse[distributed]'" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--workers", "--islands"])
def test_no_workers_and_no_islands_are_refused(flag, study_file, capsys):
    assert main(["run", str(study_file), flag, "0"]) == 2
    assert flag in capsys.readouterr().err

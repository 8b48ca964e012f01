"""The tiny run stands in for a real one."""

import shutil

import pytest

from tests.search.conftest import finished, study_file  # noqa: F401


@pytest.fixture
def folder(finished, tmp_path, monkeypatch):  # noqa: F811
    """A folder with a run named two-goals, which is the tiny one."""
    shutil.copytree(finished.folder, tmp_path / "runs" / "two-goals")
    monkeypatch.chdir(tmp_path)
    return tmp_path

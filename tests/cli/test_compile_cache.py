"""The compile cache is kept where the user's caches are, and done without where it cannot be."""

import pathlib

import jax
import pytest

from dse import compile_cache


@pytest.fixture
def settings():
    names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
    before = {name: getattr(jax.config, name) for name in names}
    yield
    for name, value in before.items():
        jax.config.update(name, value)


def test_jax_own_variable_wins_then_the_users_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "stated"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert compile_cache.folder() == tmp_path / "stated"
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    assert compile_cache.folder() == tmp_path / "xdg" / "dse" / "jax"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert compile_cache.folder() == pathlib.Path.home() / ".cache" / "dse" / "jax"


def test_programs_are_kept(monkeypatch, tmp_path, settings):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "kept"))
    assert compile_cache.enable()
    assert jax.config.jax_compilation_cache_dir == str(tmp_path / "kept")


def test_a_folder_that_cannot_be_made_is_done_without(monkeypatch, tmp_path, settings):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "file" / "inside"))
    before = jax.config.jax_compilation_cache_dir
    assert not compile_cache.enable()
    assert jax.config.jax_compilation_cache_dir == before

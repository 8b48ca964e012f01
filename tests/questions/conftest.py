"""Traced programs are kept between test runs, as the command line keeps them."""

import pytest

from dse import compile_cache


@pytest.fixture(scope="session", autouse=True)
def kept_programs(request):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_COMPILATION_CACHE_DIR", str(request.config.cache.mkdir("jax")))
        compile_cache.enable()
        yield

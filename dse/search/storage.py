"""Storage URLs: where workers on one or several machines share a study.

Any database that Optuna and SQLAlchemy know, or ``grpc://host:port`` for Optuna's proxy over one.
Without a URL, workers of one machine share the journal file of their run folder.
"""

import contextlib
import importlib.util
import pathlib
import re
import time
import urllib.parse
from collections.abc import Iterator
from typing import Any

import optuna
from optuna.storages.journal import JournalFileBackend

from dse.specs.errors import SpecError, nearest

# Word before the colon -> the driver the extra installs; psycopg2 is SQLAlchemy 2.0's default.
DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
KNOWN = ("postgresql", "mysql", "grpc")
WAIT_S = 10.0  # for a server to answer
TRIES = 5  # to find or create the tables of an empty database


class Lost(Exception):  # noqa: N818 - said to people as it is
    """The storage does not answer any more; what was saved before is in it."""


class Stopped(Exception):  # noqa: N818 - said to people as it is
    """The search stopped early; what was saved is in the shared study."""


JOURNAL = "journal:"


def at(place: str) -> optuna.storages.BaseStorage:
    """The storage at a URL, or the journal at ``journal:PATH``."""
    if place.startswith(JOURNAL):
        return journal(pathlib.Path(place.removeprefix(JOURNAL)))
    return connect(place)


def journal(path: pathlib.Path) -> optuna.storages.BaseStorage:
    """A journal file that several processes of one machine append to."""
    return optuna.storages.JournalStorage(JournalFileBackend(str(path)))


def connect(url: str) -> optuna.storages.BaseStorage:
    """The storage at a URL.

    Raises:
        SpecError: a URL that says nothing, or a server that does not answer.
        ModuleNotFoundError: its driver is not installed.
    """
    kind, separator, _ = url.partition("://")
    if not separator or not kind:
        raise SpecError("--storage", [f"{url!r} is no URL; wanted postgresql://user@host/database "
                                      "or grpc://host:port"])  # fmt: skip
    if kind.startswith("sqlite"):
        raise SpecError("--storage", ["SQLite locks where several workers write; give PostgreSQL, "
                                      "or leave --storage away on one machine"])  # fmt: skip
    with _without_experimental_warnings():
        return _proxy(url) if kind == "grpc" else _database(url)


def _proxy(url: str) -> optuna.storages.BaseStorage:
    _needs("grpc")
    parts = urllib.parse.urlsplit(url)
    host, port = parts.hostname, _port(parts)
    if not host or not port or parts.path.strip("/"):
        raise SpecError("--storage", [f"{url!r}: wanted grpc://host:port"])
    found = optuna.storages.GrpcStorageProxy(host=host, port=port)
    try:
        found.wait_server_ready(timeout=WAIT_S)
    except ConnectionError:
        raise _unreachable(url, "no answer") from None
    return found


def _port(parts: urllib.parse.SplitResult) -> int | None:
    try:
        return parts.port
    except ValueError:
        return None


def _database(url: str) -> optuna.storages.BaseStorage:
    _needs("sqlalchemy")
    import sqlalchemy.exc

    kind, _, rest = url.partition("://")
    dialect = DRIVERS.get(kind, kind)
    if dialect.endswith("+psycopg"):
        _needs("psycopg")
    options: dict[str, Any] = {"pool_pre_ping": True}
    if dialect.startswith(("postgresql", "mysql")):
        options["connect_args"] = {"connect_timeout": int(WAIT_S)}
    try:
        return _tables(f"{dialect}://{rest}", options)
    except sqlalchemy.exc.NoSuchModuleError:
        word = kind.partition("+")[0]
        raise SpecError("--storage", [f"{word!r} is no kind of storage{nearest(word, KNOWN)}"]
                        ) from None  # fmt: skip
    except (sqlalchemy.exc.ArgumentError, ValueError, KeyError, IndexError):
        raise SpecError("--storage", [f"{shown(url)!r} cannot be read as a URL"]) from None
    except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.OptunaError, OSError) as error:
        raise _unreachable(url, _first_line(error)) from None
    except ImportError as error:
        driver = getattr(error.__cause__, "name", None) or dialect
        raise SpecError("--storage", [f"{driver} is not installed, which {kind} needs"]) from None
    except RuntimeError as error:  # tables of another version of Optuna
        raise SpecError("--storage", [f"{shown(url)}: {_first_line(error)}"]) from None


def close(found: optuna.storages.BaseStorage) -> None:
    """Close the connections of a storage."""
    if isinstance(found, optuna.storages.GrpcStorageProxy):
        found.close()
    backend: Any = getattr(found, "_backend", None)
    if isinstance(backend, optuna.storages.RDBStorage):
        backend.remove_session()
        backend.engine.dispose()


def _tables(url: str, options: dict[str, Any]) -> optuna.storages.BaseStorage:
    """The database with Optuna's tables; of several workers that create them at once, one may."""
    import sqlalchemy.exc

    for left in reversed(range(TRIES)):
        try:
            found = optuna.storages.RDBStorage(url, engine_kwargs=options)
            return optuna.storages.get_storage(found)  # type: ignore[attr-defined]
        except (sqlalchemy.exc.IntegrityError, sqlalchemy.exc.ProgrammingError,
                optuna.exceptions.StorageInternalError):  # fmt: skip
            if not left:
                raise
            time.sleep(0.3)
    raise AssertionError


def _needs(package: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)


def _unreachable(url: str, reason: str) -> SpecError:
    return SpecError("--storage", [f"{shown(url)} does not answer: {reason}"])


def _first_line(error: BaseException) -> str:
    said = str(getattr(error, "orig", None) or error).strip().splitlines()
    return said[0] if said else type(error).__name__


def shown(url: str) -> str:
    """A URL without its password."""
    kind, separator, rest = re.sub(r"(password=)[^&]*", r"\1...", url).partition("://")
    user, at, place = rest.rpartition("@")
    return f"{kind}{separator}{user.partition(':')[0]}{at}{place}"


@contextlib.contextmanager
def answering() -> Iterator[None]:
    """Whatever a storage raises when it is gone, as `Lost`."""
    try:
        yield
    except optuna.exceptions.StorageInternalError as error:
        raise Lost(_first_line(error.__cause__ or error)) from None
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in ("sqlalchemy", "psycopg", "grpc"):
            raise
        raise Lost(_first_line(error)) from None


@contextlib.contextmanager
def _without_experimental_warnings() -> Iterator[None]:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield

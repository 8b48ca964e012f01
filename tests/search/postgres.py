"""A private PostgreSQL for tests: found on PATH or where Debian puts it, on a socket of its own."""

import contextlib
import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator

NEEDED = ("initdb", "pg_ctl", "postgres")
UNPRIVILEGED = ("postgres", "nobody")  # PostgreSQL refuses to run as root


def binaries() -> pathlib.Path | None:
    """The folder of the server's programs, the newest version of several."""
    on_path = shutil.which("initdb")
    debian = pathlib.Path("/usr/lib/postgresql").glob("*/bin")
    folders = sorted(debian, key=lambda f: int(f.parent.name) if f.parent.name.isdigit() else 0)
    for folder in [*([pathlib.Path(on_path).parent] if on_path else []), *reversed(folders)]:
        if all((folder / name).exists() for name in NEEDED):
            return folder
    return None


def _user() -> str | None:
    """Who runs the server: an unprivileged user where we are root, else ourselves."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in UNPRIVILEGED if name in known)


@contextlib.contextmanager
def server(programs: pathlib.Path) -> Iterator[str]:
    """A running server with one empty database; its URL."""
    # A socket's path may have some hundred letters, and others must reach it: not in tmp_path.
    place = pathlib.Path(tempfile.mkdtemp(prefix="dse-pg-"))
    user = _user()
    if user is not None:
        shutil.chown(place, user)

    def call(name: str, *arguments: str) -> None:
        done = subprocess.run([programs / name, *arguments], user=user, cwd=place, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              env={**os.environ, "LC_ALL": "C"})  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{name}: {done.stdout}")

    data, log = str(place / "data"), str(place / "log")
    call("initdb", "-D", data, "-A", "trust", "-U", "dse", "-E", "UTF8", "--no-sync")
    options = f"-k {place} -c listen_addresses='' -c fsync=off"
    call("pg_ctl", "-D", data, "-l", log, "-o", options, "-w", "start")
    try:
        yield f"postgresql://dse@/postgres?host={place}"
    finally:
        call("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
        shutil.rmtree(place, ignore_errors=True)

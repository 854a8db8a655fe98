"""A PostgreSQL server for tests, found or installed. As a script: print where its programs are."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psycopg

DEBIAN = Path("/usr/lib/postgresql")
MEND = (
    "No PostgreSQL server for the store's tests. Install one (Debian, Ubuntu: `apt-get install "
    "postgresql`), or put the folder of its `initdb` and `postgres` on the PATH."
)
OWNER = "nba"  # may do everything, and is let in without a password
HBA = f"local all {OWNER} trust\nlocal all all scram-sha-256\n"
SECONDS = 60


def find() -> Path | None:
    """The folder of `initdb` and `postgres`: on the path, or the newest of Debian's; or None."""
    folders = [Path(found).resolve().parent for found in [shutil.which("initdb")] if found]
    versions = DEBIAN.glob("*/bin") if DEBIAN.is_dir() else []
    folders += sorted(versions, key=lambda folder: float(folder.parent.name), reverse=True)
    for folder in folders:
        if (folder / "initdb").is_file() and (folder / "postgres").is_file():
            return folder
    return None


def install() -> Path | None:
    """Install Debian's server, and return its folder; None where that does not work."""
    if shutil.which("apt-get") is None:
        return None
    sudo = ["sudo", "-n"] if shutil.which("sudo") and os.geteuid() != 0 else []
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update"], ["install", "-y", "postgresql"]):
        command = [*sudo, "apt-get", *arguments]
        print("+", *command, file=sys.stderr)
        run = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        )
        if run.returncode != 0:
            print(*run.stdout.splitlines()[-3:], sep="\n", file=sys.stderr)
            return None
    return find()


@dataclass
class Server:
    """A private server on a Unix socket, in a folder of its own.

    Parameters
    ----------
    programs
        Folder of its programs.
    folder
        Where its data, its socket and its log are.
    """

    programs: Path
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @classmethod
    def make(cls, programs: Path) -> Server:
        """A server with empty databases, not started yet."""
        # Not pytest's folder: a socket's path holds 107 bytes, and another user must get there.
        server = cls(programs, Path(tempfile.mkdtemp(prefix="nba-pg-", dir="/tmp")))
        server.folder.chmod(0o755)
        for path in (server.folder, server.data):
            path.mkdir(exist_ok=True, mode=0o700)
            if os.geteuid() == 0:
                shutil.chown(path, **_someone())
        try:
            run = server._start(
                "initdb", "--pgdata", str(server.data), "--username", OWNER, "--no-sync",
                "--encoding", "UTF8", "--locale", "C", "--auth", "trust",
            )  # fmt: skip
            if run.wait(SECONDS) != 0:
                raise AssertionError(f"initdb failed:\n{server.log.read_text()}")
        except BaseException:
            server.remove()
            raise
        (server.data / "pg_hba.conf").write_text(HBA)
        return server

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def start(self) -> None:
        """Start it, and return when it takes connections."""
        self.process = self._start(
            "postgres", "-D", str(self.data), "-k", str(self.folder),
            "-c", "listen_addresses=", "-c", "fsync=off",  # a disk that loses power is not tried
        )  # fmt: skip
        end = time.monotonic() + SECONDS
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > end:
                raise AssertionError(f"PostgreSQL did not start:\n{self.log.read_text()}")
            time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it: SIGINT cuts its connections, SIGQUIT is a crash of the server."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(SECONDS)
            self.process = None

    def remove(self) -> None:
        """End it, and leave nothing of it."""
        try:
            self.stop(signal.SIGQUIT)  # nothing of it is needed, so nothing has to be written
        finally:
            if self.process is not None:
                self.process.kill()
            shutil.rmtree(self.folder)

    def address(self, database: str, user: str = OWNER, password: str = "") -> str:
        """Where a database is, as `open_store` takes it."""
        secret = f":{password}" if password else ""
        return f"postgresql://{user}{secret}@/{database}?host={self.folder}"

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.address("postgres")).close()
        except psycopg.OperationalError:
            return False
        return True

    def _start(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        # The server refuses to run as root.
        as_whom = {**_someone(), "extra_groups": []} if os.geteuid() == 0 else {}
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [self.programs / program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                start_new_session=True,  # Ctrl-C is for pytest, which ends it then
                **as_whom,
            )


def _someone() -> dict[str, int]:
    import pwd

    for name in ("postgres", "nobody"):
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": found.pw_uid, "group": found.pw_gid}
    raise AssertionError("PostgreSQL refuses to run as root, and there is no other user")


if __name__ == "__main__":
    programs = find() or install()
    if programs is None:
        raise SystemExit(MEND)
    print(programs)

"""Where the chaos happens: processes with a mark, a folder of their own and one log."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

#: variable that every process of a run has in its environment
MARK = "CHAOS_RUN"


class Machine:
    """Where the command runs: a folder of its own, environments, and the log of all runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "runs.log"
        for name in ("tmp", "home"):
            (folder / name).mkdir()

    def environment(self, endpoint: str, mark: str) -> dict[str, str]:
        own = {"TMPDIR": str(self.folder / "tmp"), "HOME": str(self.folder / "home")}
        cloud = {"AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "test", "USER": "chaos"}
        more = {"AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
        return {**os.environ, **own, **cloud, **more, MARK: mark, "OMP_THREAD_LIMIT": "1"}

    def start(
        self, words: Sequence[str], environment: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            log.write(f"--- {environment[MARK]} {time.strftime('%T')}\n".encode())
            log.flush()
            return subprocess.Popen(
                [sys.executable, "-m", "comic_ocr", *words],
                env=environment,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )

    def list_left(self) -> set[str]:
        """Return the jobs that have objects in Lithops' storage, by name."""
        jobs = self.folder.glob("tmp/**/lithops.jobs/*")
        return {job.name for job in jobs if any(path.is_file() for path in job.rglob("*"))}


def find_marked(mark: str) -> dict[int, str]:
    """Return the processes that were started under a mark and live, with their command lines."""
    found = {}
    for folder in Path("/proc").iterdir():
        try:
            if f"{MARK}={mark}".encode() in (folder / "environ").read_bytes():
                found[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
        except (OSError, ValueError):
            continue
    return found

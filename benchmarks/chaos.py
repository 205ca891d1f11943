"""The command on Lithops localhost while workers and driver are killed and the storage fails.

    python benchmarks/chaos.py [--minutes 10] [--pages DIR] [--method tesseract] [--seed N]

Pages and results are in a bucket of moto's server, behind a proxy that refuses, loses, cuts and
delays answers. At random times a worker or the driver is killed, the driver interrupted, or the
store away for seconds; then the same command runs again, until it ends by itself. What must hold
then is in `chaos_checks.py`. This goes on with new outputs until the minutes are over. Exit code 1,
with the seed, when something did not hold. Times of processes differ from run to run, so a seed
repeats the plan of what is done to the job, and not every moment of it.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import boto3
from chaos_checks import Expected, Violation, check_output, check_stays_clean, read_texts
from chaos_machine import MARK, Machine, find_marked
from moto.server import ThreadedMotoServer

from comic_ocr.job import JobState
from comic_ocr.testing.comic import draw_comic
from comic_ocr.testing.storage_proxy import Faults, StorageProxy

BUCKET = "chaos"
FAULTS = {"busy": 0.03, "error": 0.01, "drop": 0.01, "lost": 0.02, "cut": 0.01, "slow": 0.02}
#: what is done to a job, and how often beside the others
ACTIONS = {
    "kill a worker": 4,
    "kill a worker's group": 2,
    "kill the driver": 2,
    "interrupt the driver": 1,
    "terminate the driver": 1,
    "store away": 2,
}
PAUSES_S = (0.5, 8.0)
LONGEST_AWAY_S = 12.0
#: then a round is left to end, with a failing storage still
MOST_ACTIONS = 12
#: a run that takes longer hangs
LONGEST_RUN_S = 300.0
#: exit codes of a run that came to its end; of one that is to be run again. The last two are
#: those of a signal that came before the command was loaded.
ENDED, AGAIN = {0, 3}, {5, 130, -signal.SIGKILL, -signal.SIGINT, -signal.SIGTERM}


@dataclass
class Account:
    """What was done, and what came of it."""

    actions: Counter[str] = field(default_factory=Counter)
    exits: Counter[int] = field(default_factory=Counter)
    runs: int = 0
    pages: int = 0
    #: failures of the chaos alone, which --retry-failed then reads, by code
    tried_again: Counter[str] = field(default_factory=Counter)
    #: pages with page JSON of which no ledger row says `done`
    unrecorded: int = 0

    def __str__(self) -> str:
        actions = ", ".join(f"{name} {count}" for name, count in sorted(self.actions.items()))
        return (
            f"{self.pages} pages in {self.runs} runs; {actions or 'nothing done'}; exit codes "
            f"{dict(self.exits)}; tried again by --retry-failed {dict(self.tried_again)}; "
            f"without a done row {self.unrecorded}"
        )


class Chaos:
    """Rounds of one job each, under one seed."""

    def __init__(
        self, machine: Machine, proxy: StorageProxy, words: list[str], expected: Expected, seed: int
    ) -> None:
        self._machine = machine
        self._proxy = proxy
        self._words = words
        self._expected = expected
        self._seed = seed

    def play(self, number: int, until: float) -> Account:
        """Return what a round was; raises Violation when something does not hold at its end."""
        dice = random.Random(f"{self._seed}/{number}")  # noqa: S311 (a seeded plan)
        output = f"s3://{BUCKET}/round {number}"
        words = [*self._words, "--output", output]
        account = Account()
        self._proxy.order(Faults(seed=dice.randrange(1 << 30), **FAULTS))
        marks = []
        while True:
            account.runs += 1
            marks.append(f"{number}-{account.runs}-{uuid.uuid4().hex[:6]}")
            code = self._run(words, marks[-1], dice, account, until)
            account.exits[code] += 1
            if code in ENDED:
                break
            if code not in AGAIN:
                raise Violation(f"run {marks[-1]} ended with exit code {code}")
        self._proxy.order(Faults())
        self._proxy.go_away(0)
        check_stays_clean(lambda: {k: v for mark in marks for k, v in find_marked(mark).items()})
        self._settle(words, output, marks[-1], account, code)
        account.pages = len(self._expected.texts)
        return account

    def _settle(self, words: list[str], output: str, mark: str, account: Account, code: int) -> int:
        """Check the output, after pages that failed for the chaos alone were tried again."""
        found = check_output(output, self._expected, exit_code=code)
        if found.strange:
            code = self._run([*words, "--retry-failed"], f"{mark}-retry", None, account, 0)
            if code not in ENDED:
                raise Violation(f"--retry-failed ended with exit code {code}")
            again = check_output(output, self._expected, exit_code=code)
            if again.strange:
                raise Violation(f"--retry-failed left failures that are none: {again.strange}")
        account.tried_again.update(row.code for row in found.strange)
        account.unrecorded = found.unrecorded

    def _run(
        self,
        words: list[str],
        mark: str,
        dice: random.Random | None,
        account: Account,
        until: float,
    ) -> int:
        """Return the exit code of one run that things are done to, if there is a dice."""
        left = self._machine.list_left()
        driver = self._machine.start(words, self._machine.environment(self._proxy.url, mark))
        ends = time.monotonic() + LONGEST_RUN_S
        try:
            while (
                dice and time.monotonic() < until and sum(account.actions.values()) < MOST_ACTIONS
            ):
                try:
                    driver.wait(dice.uniform(*PAUSES_S))
                    break
                except subprocess.TimeoutExpired:
                    action = dice.choices(list(ACTIONS), list(ACTIONS.values()))[0]
                    if self._do(action, driver, mark, dice):
                        account.actions[action] += 1
            code = driver.wait(max(1.0, ends - time.monotonic()))
        except subprocess.TimeoutExpired as error:
            raise Violation(f"run {mark} takes longer than {LONGEST_RUN_S:.0f} s") from error
        finally:
            if driver.poll() is None:
                driver.kill()
                driver.wait()
        if code != -signal.SIGKILL and (new := self._machine.list_left() - left):
            raise Violation(f"run {mark}, exit code {code}, left objects of Lithops: {new}")
        return code

    def _do(
        self, action: str, driver: subprocess.Popen[bytes], mark: str, dice: random.Random
    ) -> bool:
        """Return whether there was something to do it to."""
        if action == "store away":
            self._proxy.go_away(dice.uniform(1.0, LONGEST_AWAY_S))
            return True
        if "driver" in action:
            number = {"kill": signal.SIGKILL, "interrupt": signal.SIGINT}
            driver.send_signal(number.get(action.split(maxsplit=1)[0], signal.SIGTERM))
            return True
        workers = sorted(set(find_marked(mark)) - {driver.pid})
        if not workers:
            return False
        victim = dice.choice(workers)
        try:
            if action == "kill a worker":
                os.kill(victim, signal.SIGKILL)
            elif os.getpgid(victim) != os.getpgid(0):
                os.killpg(os.getpgid(victim), signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True


def upload_pages(client: object, folder: Path, source: Path | None, count: int) -> str:
    """Return the URL of a manifest in the bucket: real or drawn pages, and three that must fail."""
    if source:
        images = sorted(source.glob("*.jpg"))[:count]
    else:
        images = [page.image for page in draw_comic(folder / "comic", pages=count)]
    rows = ["canonical_id,image_path"]
    for image in images:
        client.upload_file(str(image), BUCKET, f"pages/{image.name}")  # type: ignore[attr-defined]
        rows.append(f"vol 1/{image.stem} #1,s3://{BUCKET}/pages/{image.name}")
    bad = {"no image.jpg": b"nothing", "cut.jpg": images[0].read_bytes()[:5000]}
    for name, data in bad.items():
        client.put_object(Bucket=BUCKET, Key=f"pages/{name}", Body=data)  # type: ignore[attr-defined]
    rows += [f"bad/{name},s3://{BUCKET}/pages/{name}" for name in [*bad, "missing.jpg"]]
    body = "\n".join(rows).encode()
    client.put_object(Bucket=BUCKET, Key="pages.csv", Body=body)  # type: ignore[attr-defined]
    return f"s3://{BUCKET}/pages.csv"


def read_undisturbed(machine: Machine, words: list[str], endpoint: str) -> Expected:
    """Return what an undisturbed run makes of the pages."""
    output = f"s3://{BUCKET}/undisturbed"
    run = machine.start([*words, "--output", output], machine.environment(endpoint, "undisturbed"))
    if run.wait() != 3:
        raise SystemExit(f"the undisturbed run failed, see {machine.log.read_text()}")
    state = JobState(output)
    done = set(state.list_done())
    return Expected(read_texts(output), {r.canonical_id: r.code for r in state.open_failures(done)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--pages", type=Path, help="a folder of .jpg; else pages are drawn")
    parser.add_argument("--count", type=int, default=60, help="pages of a job at most")
    parser.add_argument("--method", default="tesseract")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    parser.add_argument("--first-round", type=int, default=1, help="to repeat a later round")
    asked = parser.parse_args()
    # A shell's background job ignores interrupts, and so would the commands that it starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    print(f"seed {asked.seed}, log {folder / 'runs.log'}", flush=True)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    machine = Machine(folder)
    os.environ.update(machine.environment(endpoint, ""))
    del os.environ[MARK]
    client = boto3.client("s3")
    client.create_bucket(Bucket=BUCKET)
    manifest = upload_pages(client, folder, asked.pages, asked.count)
    words = ["--manifest", manifest, "--method", asked.method, "--workers", "2"]
    expected = read_undisturbed(machine, words, endpoint)
    print(f"undisturbed: {len(expected.texts)} done, failures {expected.failures}", flush=True)
    until = time.monotonic() + asked.minutes * 60
    number = asked.first_round
    with StorageProxy(endpoint) as proxy:
        chaos = Chaos(machine, proxy, words, expected, asked.seed)
        while number == asked.first_round or time.monotonic() < until:
            try:
                account = chaos.play(number, until)
            except Violation as violation:
                print(f"round {number}: {violation}\nstorage {proxy.account()}")
                print(f"again: --seed {asked.seed} --first-round {number}; log {machine.log}")
                raise SystemExit(1) from violation
            print(f"round {number} holds: {account}", flush=True)
            number += 1
        print(f"storage: {proxy.account()}")
    server.stop()
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()

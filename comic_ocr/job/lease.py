"""Which driver works on an output: `{output}/_comic_ocr/lease.json`, there while one does.

    with Lease(store, run_id) as lease:      # OutputBusyError while another driver works here
        ...
        lease.check()                        # OutputBusyError once another has taken over

A thread renews the lease every ten seconds. One of a process that is dead is taken over at once,
where that can be known; any other when it was not renewed for 90 seconds, by the store's own clock.

Not every store can replace an object on condition, so two drivers may for some seconds both think
that they hold it. The last to write then does, and the other finds out at its next renewal. Until
then they read some pages twice: page JSON is written once, plans and ledgers are of one run each.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Self

import msgspec

from comic_ocr.errors import ComicOcrError, OutputBusyError, SourceNotFoundError
from comic_ocr.job.holder import LeaseFile, Life, describe_holder, find_life, make_lease_file
from comic_ocr.page import STATE_PREFIX
from comic_ocr.storage import Store

LEASE_KEY = f"{STATE_PREFIX}/lease.json"
#: Nine renewals missed: a store that fails for a minute does not cost a job.
EXPIRES_S = 90.0
RENEW_EVERY_S = 10.0
#: Longer than a write takes, so that of two who take over at once one sees the other.
_SETTLE_S = 1.0
_CREATE_TRIES = 3


class Lease:
    """One driver's right to work on an output. Used once."""

    def __init__(
        self,
        store: Store,
        run_id: str,
        *,
        expires_s: float = EXPIRES_S,
        renew_every_s: float = RENEW_EVERY_S,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store = store
        self._mine = make_lease_file(run_id)
        self._expires_s = expires_s
        self._renew_every_s = renew_every_s
        self._sleep = sleep
        self._lock = threading.Lock()
        self._released = threading.Event()
        self._renewer: threading.Thread | None = None
        self._taker: LeaseFile | None = None
        #: for the user: whose lease was taken over; empty for nobody's
        self.note = ""

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *_error: object) -> None:
        self.release()

    @property
    def lost(self) -> bool:
        """Whether another driver has taken over."""
        return self._taker is not None

    def acquire(self) -> None:
        """Take the lease, and renew it from a thread until release().

        The thread is there because planning a million pages may keep the driver busy for longer
        than a lease lasts.

        Raises:
            OutputBusyError: another driver works here; nothing was changed. Not retryable.
            SourceDeniedError: the output may not be written. Not retryable.
            StorageError: the output cannot be reached. Retryable.
        """
        self._take()
        self._renewer = threading.Thread(target=self._keep, name="lease", daemon=True)
        self._renewer.start()

    def renew(self) -> bool:
        """Return whether the lease is still ours; if so, it is written again.

        Raises:
            StorageError: the output cannot be reached, which is no loss yet. Retryable.
        """
        with self._lock:
            if self._taker is None:
                held = read_lease(self._store)
                if held is None or held.owner == self._mine.owner:
                    # One that was deleted is put back, but not over that of a quicker driver.
                    self._write(overwrite=held is not None)
                else:
                    self._taker = held
            return self._taker is None

    def check(self) -> None:
        """Raise if a renewal has found that another driver has taken over. Asks nobody.

        Raises:
            OutputBusyError: stop, and write nothing that the other also writes. Not retryable.
        """
        if self._taker is not None:
            raise OutputBusyError(
                f"{describe_holder(self._taker)} has taken over {self._store.url}, because this "
                f"run gave no sign of life for {self._expires_s:.0f} s.",
                hint="let that run go on; what this one has read is kept",
            )

    def release(self) -> None:
        """Stop renewing, and delete the lease if it is still ours.

        A store that cannot be reached is no error here: a lease that stays is taken over.
        """
        self._released.set()
        if self._renewer is not None:
            self._renewer.join()
        with self._lock, suppress(ComicOcrError):
            held = read_lease(self._store)
            if held is not None and held.owner == self._mine.owner:
                self._store.delete(LEASE_KEY)

    def _keep(self) -> None:
        while not self._released.wait(self._renew_every_s):
            # A store that fails now is asked again in a moment; the driver meets it by itself.
            with suppress(ComicOcrError):
                if not self.renew():
                    return

    def _take(self) -> None:
        for _ in range(_CREATE_TRIES):
            if self._write(overwrite=False):
                return
            held = read_lease(self._store)
            # A create whose answer was lost is sent again, and then finds its own object.
            if held is not None and (held.owner == self._mine.owner or self._take_over(held)):
                return
        raise OutputBusyError(
            f"other runs come and go at {self._store.url}.", hint="run again in a moment"
        )

    def _take_over(self, held: LeaseFile) -> bool:
        """Return whether it is ours now; False when it was released or taken meanwhile."""
        life = find_life(held, self._mine)
        age_s = self._measure_age_s()
        if age_s is None:
            return False
        if not may_take_over(life, age_s=age_s, expires_s=self._expires_s):
            raise self._refusal(held, life, age_s)
        if read_lease(self._store) != held:
            return False
        winner = self._replace()
        if winner is None:
            return False
        if winner.owner != self._mine.owner:
            raise self._refusal(winner, "unknown", 0.0)
        why = "is dead" if life == "dead" else f"gave no sign of life for {age_s:.0f} s"
        self.note = f"took over from {describe_holder(held)}, which {why}"
        return True

    def _replace(self) -> LeaseFile | None:
        """Return whose lease stands when all who take over at once have written theirs."""
        self._write(overwrite=True)
        try:
            self._sleep(_SETTLE_S)
            return read_lease(self._store)
        except BaseException:
            self.release()
            raise

    def _write(self, *, overwrite: bool) -> bool:
        data = msgspec.json.format(msgspec.json.encode(self._mine), indent=2) + b"\n"
        return self._store.put(LEASE_KEY, data, overwrite=overwrite)

    def _measure_age_s(self) -> float | None:
        """Return seconds since the lease was renewed, by the store's own clock; None if it is gone.

        The lease is looked at last, so that one renewed meanwhile is not thought old.
        """
        probe = f"{STATE_PREFIX}/lease-{self._mine.owner}.probe"
        try:
            self._store.put(probe, b"", overwrite=True)
            now = self._store.head(probe).modified_at
            renewed_at = self._store.head(LEASE_KEY).modified_at
        except SourceNotFoundError:
            return None
        finally:
            self._store.delete(probe)
        return max(0.0, (now - renewed_at).total_seconds())

    def _refusal(self, held: LeaseFile, life: Life, age_s: float) -> OutputBusyError:
        url = self._store.url
        hint = f"wait, or stop it; `batch_ocr status {url}` shows how far it is"
        if life == "unknown":
            left_s = max(1.0, self._expires_s - age_s + 1)
            hint += f"; if it is gone, run again in {left_s:.0f} s"
        what = (
            f"{describe_holder(held)} works on {url}; its last sign of life is {age_s:.0f} s old."
        )
        return OutputBusyError(what, hint=hint)


def read_lease(store: Store) -> LeaseFile | None:
    """Return who works on an output, or died there; None for nobody. Writes nothing."""
    try:
        return msgspec.json.decode(store.get(LEASE_KEY), type=LeaseFile)
    except SourceNotFoundError:
        return None
    except msgspec.DecodeError:
        return LeaseFile()


def may_take_over(life: Life, *, age_s: float, expires_s: float) -> bool:
    """Return whether a lease may be replaced: its process is dead, or nobody knows and it is old.

    A process that is known to live keeps its lease however old: it is stopped, or cut off from
    the store, and can be seen and ended here.
    """
    return life == "dead" or (life == "unknown" and age_s > expires_s)

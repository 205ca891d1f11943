"""Time that passes when somebody sleeps."""

from __future__ import annotations

#: 2027-01-15 08:00 UTC
_EPOCH_S = 1_800_000_000.0
_LONGEST_S = 60 * 86_400.0


class VirtualClock:
    """A Clock whose time passes by sleeping alone, and then at once."""

    def __init__(self, *, longest_s: float = _LONGEST_S) -> None:
        self._now = 0.0
        self._longest_s = longest_s

    def now(self) -> float:
        """Return seconds since the clock was made."""
        return self._now

    def time(self) -> float:
        """Return seconds since the epoch."""
        return _EPOCH_S + self._now

    def sleep(self, seconds: float) -> None:
        """Let time pass.

        Raises:
            RuntimeError: more passed than any job takes, so that one that never ends is found out.
        """
        if seconds < 0:
            raise ValueError(f"cannot sleep for {seconds} s")
        self._now += seconds
        if self._now > self._longest_s:
            raise RuntimeError(f"{self._now:.0f} s of virtual time passed and no end came")

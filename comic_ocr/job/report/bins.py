"""Sums over time and over sizes in bounded memory, whatever the number of rows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

_FIRST_WIDTH_S = 0.25
_MAX_BINS = 2048
#: of a histogram of seconds, to a decade
BINS_PER_DECADE = 10
_LEAST_S = 1e-4


class Segment(NamedTuple):
    """A stretch of time, in seconds since the epoch, over which a few values are the same."""

    start: float
    end: float
    values: tuple[float, ...]


class TimeSums:
    """A few sums for each bin of time. Bins double in width rather than in number."""

    def __init__(self, series: int) -> None:
        self.width_s = _FIRST_WIDTH_S
        self._series = series
        self._bins: dict[int, list[float]] = {}

    def add(self, at: float, series: int, value: float = 1.0) -> None:
        """Add a value at a time."""
        index = int(at // self.width_s)
        sums = self._bins.get(index)
        if sums is None:
            sums = self._bins[index] = [0.0] * self._series
        sums[series] += value
        if len(self._bins) > _MAX_BINS:
            self.widen(self.width_s * 2)

    def widen(self, width_s: float) -> None:
        """Double the bins until they are at least this wide."""
        while self.width_s < width_s:
            wider: dict[int, list[float]] = {}
            for index, sums in self._bins.items():
                into = wider.setdefault(index // 2, [0.0] * self._series)
                for series, value in enumerate(sums):
                    into[series] += value
            self._bins = wider
            self.width_s *= 2

    def segments(self) -> list[Segment]:
        """Return the bins that hold something, by time."""
        width = self.width_s
        return [
            Segment(index * width, (index + 1) * width, tuple(self._bins[index]))
            for index in sorted(self._bins)
        ]


class RunningCounts:
    """How many intervals of each series cover a time, as means over bins that widen."""

    def __init__(self, series: int) -> None:
        self._series = series
        # Of each bin: how many more intervals began in it than ended, and the same sum of times.
        # Both can be added up when bins are joined, and together they give the area covered.
        self._edges = TimeSums(2 * series)
        self._origin: float | None = None

    def add(self, start: float, end: float, series: int) -> None:
        """Add an interval."""
        if self._origin is None:
            # Small numbers, for the sum of a million of them.
            self._origin = start
        for at, sign in ((start, 1.0), (max(start, end), -1.0)):
            self._edges.add(at, series, sign)
            self._edges.add(at, self._series + series, sign * (at - self._origin))

    def widen(self, width_s: float) -> None:
        """Double the bins until they are at least this wide."""
        self._edges.widen(width_s)

    def segments(self) -> list[Segment]:
        """Return the stretches of time in which something ran, with mean numbers, by time."""
        found: list[Segment] = []
        level = [0.0] * self._series
        reached = 0.0
        for start, end, sums in self._edges.segments():
            if any(level) and start > reached:
                found.append(Segment(reached, start, tuple(level)))
            found.append(Segment(start, end, self._mean(level, sums, start, end)))
            level = [max(0.0, old + new) for old, new in zip(level, sums, strict=False)]
            reached = end
        return found

    def _mean(
        self, level: Sequence[float], sums: Sequence[float], start: float, end: float
    ) -> tuple[float, ...]:
        """Return the mean number over one bin, from the number before it and its edges."""
        stop = end - (self._origin or 0.0)
        net, times = sums[: self._series], sums[self._series :]
        return tuple(
            max(0.0, before + (n * stop - t) / (end - start))
            for before, n, t in zip(level, net, times, strict=True)
        )


def rebin(
    segments: Sequence[Segment], edges: Sequence[float], *, total: bool = False
) -> list[Segment]:
    """Return the segments as means over other stretches of time, or as sums of `total` values.

    Args:
        segments: by time, none over another.
        edges: of the stretches, ascending.
        total: a value is a sum over its segment, spread evenly, and not a level.
    """
    size = len(segments[0].values) if segments else 0
    found = []
    first = 0
    for start, end in pairwise(edges):
        sums = [0.0] * size
        while first < len(segments) and segments[first].end <= start:
            first += 1
        for segment in segments[first:]:
            if segment.start >= end:
                break
            shared = min(end, segment.end) - max(start, segment.start)
            weight = shared / (segment.end - segment.start if total else end - start)
            for series, value in enumerate(segment.values):
                sums[series] += value * weight
        found.append(Segment(start, end, tuple(sums)))
    return found


@dataclass
class SecondsHistogram:
    """Counts of durations, ten bins to a decade; quantiles are good to an eighth."""

    bins: Counter[int] = field(default_factory=Counter)
    count: int = 0
    total_s: float = 0.0
    longest_s: float = 0.0

    def add(self, seconds: float) -> None:
        """Count a duration."""
        self.bins[math.floor(math.log10(max(seconds, _LEAST_S)) * BINS_PER_DECADE)] += 1
        self.count += 1
        self.total_s += seconds
        self.longest_s = max(self.longest_s, seconds)

    def quantile(self, share: float) -> float:
        """Return the seconds that this share of the durations stays below; 0 if there are none."""
        left = share * self.count
        for index in sorted(self.bins):
            if left <= self.bins[index]:
                within = bin_start(index + left / self.bins[index])
                return min(within, self.longest_s)
            left -= self.bins[index]
        return self.longest_s


def bin_start(index: float) -> float:
    """Return the seconds at which a bin of a SecondsHistogram begins."""
    return float(10 ** (index / BINS_PER_DECADE))

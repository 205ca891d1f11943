"""Numbers as a report writes them."""

from __future__ import annotations

from datetime import UTC, datetime


def say_count(number: float) -> str:
    """Return a number such as `1,234`, `12.3` or `0.12`."""
    if number == int(number) or abs(number) >= 100:
        return f"{number:,.0f}"
    return f"{number:.1f}" if abs(number) >= 10 else f"{number:.2g}"


def say_seconds(seconds: float) -> str:
    """Return a duration such as `12 ms`, `3.4 s`, `5 min 20 s`, `2 h 05 min` or `3 d 4 h`."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.3g} ms" if seconds else "0 s"
    if seconds < 89.5:
        return f"{seconds:.3g} s"
    if seconds < 3599.5:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes} min {rest:02d} s" if rest else f"{minutes} min"
    minutes = round(seconds / 60)
    if minutes < 48 * 60:
        hours, rest = divmod(minutes, 60)
        return f"{hours} h {rest:02d} min" if rest else f"{hours} h"
    days, hours = divmod(round(minutes / 60), 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def say_usd(dollars: float) -> str:
    """Return a price such as `$1,234.50`, `$0.0042` or `$0`."""
    if not dollars:
        return "$0"
    if dollars >= 1:
        return f"${dollars:,.2f}"
    return f"${dollars:.4f}" if dollars >= 0.001 else f"${dollars:.2g}"


def say_share(part: float, whole: float) -> str:
    """Return a share such as `12 %`, `0.3 %`, or a dash for a share of nothing."""
    if not whole:
        return "–"
    percent = 100 * part / whole
    if 0 < percent < 0.1:
        return "under 0.1 %"
    return f"{percent:.0f} %" if percent >= 10 or not percent else f"{percent:.2g} %"


def say_time(time: float) -> str:
    """Return seconds since the epoch as `2026-11-22 09:11:35 UTC`."""
    return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M:%S} UTC"

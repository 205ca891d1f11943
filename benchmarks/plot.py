"""Pictures of benchmarks' figures, as SVG without any package."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 560, 300, 60, 50, 40
_BAR = 70


def draw_cost(
    path: Path, sizes: Sequence[int], total: Sequence[float], planning: Sequence[float]
) -> None:
    """Write bars of the driver's CPU time per page, the planning part of each darker.

    Args:
        path: of the SVG.
        sizes: pages of each job.
        total: microseconds per page.
        planning: part of total before the first call.
    """
    highest = max(total) * 1.15
    step = (_WIDTH - _LEFT) / len(sizes)
    parts = [_text(_WIDTH / 2, 22, "CPU time of the driver, microseconds per page")]
    parts += [_grid(mark, _y(mark, highest)) for mark in _marks(highest)]
    for number, (size, whole, part) in enumerate(zip(sizes, total, planning, strict=True)):
        x = _LEFT + step * (number + 0.5) - _BAR / 2
        parts.append(_bar(x, _y(whole, highest), _y(part, highest), "#8ab4d8"))
        parts.append(_bar(x, _y(part, highest), _y(0, highest), "#2f6690"))
        parts.append(_text(x + _BAR / 2, _y(whole, highest) - 6, f"{whole:.1f}"))
        parts.append(_text(x + _BAR / 2, _HEIGHT - _BOTTOM + 18, f"{size:,} pages"))
    parts.append(
        _text(_WIDTH / 2, _HEIGHT - 10, "dark: planning; light: calls, from first to last")
    )
    body = "\n".join(parts)
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'font-family="sans-serif" font-size="13">\n'
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>\n{body}\n</svg>\n',
        encoding="utf-8",
    )


def _marks(highest: float) -> list[float]:
    step = 1.0
    while highest / step > 6:
        step *= 2
    return [step * number for number in range(int(highest / step) + 1)]


def _y(value: float, highest: float) -> float:
    return _HEIGHT - _BOTTOM - value / highest * (_HEIGHT - _BOTTOM - _TOP)


def _bar(x: float, top: float, bottom: float, color: str) -> str:
    height = bottom - top
    return f'<rect x="{x:.1f}" y="{top:.1f}" width="{_BAR}" height="{height:.1f}" fill="{color}"/>'


def _grid(mark: float, y: float) -> str:
    line = f'<line x1="{_LEFT}" x2="{_WIDTH}" y1="{y:.1f}" y2="{y:.1f}" stroke="#cccccc"/>'
    return line + _text(_LEFT - 18, y + 4, f"{mark:g}")


def _text(x: float, y: float, words: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle" fill="#222222">{words}</text>'

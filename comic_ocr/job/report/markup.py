"""Elements of HTML and SVG as text that is well-formed XML. Plain strings are escaped."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from html import escape

#: Attributes whose Python name is taken, by that name.
_NAMES = {"class_": "class"}


class Markup(str):
    """Text that is markup already and is not escaped again."""

    __slots__ = ()


def element(name: str, *children: str, **attributes: str | float | None) -> Markup:
    """Return an element. Children are escaped unless they are Markup; None leaves out.

    Args:
        name: of the tag.
        *children: text or Markup.
        **attributes: `class_` for class, `aria_label` for aria-label; numbers are rounded.
    """
    shown = "".join(
        f' {_NAMES.get(key, key.replace("_", "-"))}="{_format_value(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    inside = "".join(clean(child) for child in children)
    return Markup(f"<{name}{shown}>{inside}</{name}>")


def join(parts: Iterable[Markup]) -> Markup:
    """Return markup after markup."""
    return Markup("".join(parts))


def clean(text: str) -> str:
    """Return text escaped, and less the control characters that XML forbids."""
    if isinstance(text, Markup):
        return text
    if not text.isprintable():
        text = "".join(" " if unicodedata.category(c) in ("Cc", "Cs", "Cn") else c for c in text)
    return escape(text)


def _format_value(value: str | float) -> str:
    return clean(value) if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, words: int = 1) -> Markup:
    """Return a table; of each row the first `words` cells are text, the others numbers."""
    head = join(
        element("th", text, scope="col", class_="n" if at >= words else None)
        for at, text in enumerate(heads)
    )
    body = join(
        element(
            "tr",
            *(
                element("td", text, class_="n" if at >= words else None)
                for at, text in enumerate(row)
            ),
        )
        for row in rows
    )
    whole = element("table", element("thead", element("tr", head)), element("tbody", body))
    return element("div", whole, class_="wide")

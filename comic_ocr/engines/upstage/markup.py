"""HTML to text."""

from __future__ import annotations

from html.parser import HTMLParser

_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_BLOCKS = ("p", "div", "figure", "figcaption", "header", "footer", "ul", "ol", "li", "dl")
_BREAKS = frozenset(("br", "tr", "table", "caption", "dt", "dd", *_BLOCKS, *_HEADINGS))
_CELLS = ("td", "th")


def strip_html(html: str) -> str:
    """Return the text of HTML: a line per block or table row, cells parted by tabs.

    Where there is no text, that of the images' `alt`, which is where Upstage writes what is in a
    figure.
    """
    reader = _TextReader()
    reader.feed(html)
    reader.close()
    return _tidy(reader.text) or _tidy("\n".join(reader.alts))


class _TextReader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.text = ""
        self.alts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _BREAKS:
            self.text += "\n"
        elif tag == "img":
            self.alts.append(dict(attrs).get("alt") or "")

    def handle_endtag(self, tag: str) -> None:
        if tag in _CELLS:
            self.text += "\t"
        elif tag in _BREAKS:
            self.text += "\n"

    def handle_data(self, data: str) -> None:
        # Blanks between tags are layout of the source.
        if data.strip() or (data and not self.text.endswith(("\n", "\t"))):
            self.text += data


def _tidy(text: str) -> str:
    """Return the lines that have text; empty cells keep their place between others."""
    lines = (
        "\t".join(" ".join(cell.split()) for cell in line.split("\t")).rstrip()
        for line in text.split("\n")
    )
    return "\n".join(line for line in lines if line.strip())

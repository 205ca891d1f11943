"""The report: one HTML file that is whole, safe and says in words what its pictures show."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from comic_ocr.errors import UsageError
from comic_ocr.job.cost import Costs
from comic_ocr.job.history import CallLog, CallRecord
from comic_ocr.job.report import write_report
from comic_ocr.job.report.markup import Markup, element
from comic_ocr.job.spec import CheckedMethod
from comic_ocr.job.state import JobState
from comic_ocr.job.summary import JobSummary
from comic_ocr.page import LedgerRow
from comic_ocr.storage import open_store

START = 1_795_000_000.0
SVG = "{http://www.w3.org/2000/svg}"
EVIL = "<script>alert(1)</script>&\"'"


class Outline(HTMLParser):
    """The elements of a page, each closed where it must be; and the cells of its tables."""

    VOID = {"meta"}

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.tables: list[list[list[str]]] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in self.VOID:
            return
        self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if self.open and self.open[-1] in ("td", "th"):
            self.tables[-1][-1][-1] += data

    def find_table(self, first_head: str) -> list[list[str]]:
        (found,) = [table for table in self.tables if table[0][0] == first_head]
        return found[1:]


def make_summary(output: str, **what) -> JobSummary:
    facts = {
        "job_id": "r1", "run_id": "r1", "method": "tesseract", "output": output,
        "backend": "aws_lambda", "workers": 4, "state": "finished", "pages": 40, "done_before": 0,
        "failed_before": 0, "done": 38, "failed": 2, "remaining": 0, "pages_per_s": 4.0,
        "updated_at": "2026-11-20T10:00:00+00:00", "cost_usd": 0.02,
        "costs": Costs(compute_usd=0.02, storage_usd=0.005), "peak_worker_memory_mb": 512,
    }  # fmt: skip
    return JobSummary(**{**facts, **what})


def call(number: int, start: float, end: float, outcome: str = "done", **what) -> CallRecord:
    facts = {"pages": 10, "worker_s": end - start - 1, "load_s": 1.0, "ocr_s": 2.0}
    return CallRecord(
        chunk_id=f"{number:06d}", attempt=1, outcome=outcome,
        submitted_at=START + start, ended_at=START + end, **{**facts, **what},
    )  # fmt: skip


CALLS = [
    call(1, 0, 10, compute_usd=0.002),
    call(2, 0, 12, compute_usd=0.003),
    call(3, 0, 9, "lost", code="worker_lost", compute_usd=0.001),
    call(3, 10, 18, compute_usd=0.002),
    call(4, 10, 20, "superseded", compute_usd=0.001),
    call(4, 14, 19, copy=1, compute_usd=0.002, peak_memory_mb=640),
]


def page_rows() -> list[LedgerRow]:
    rows = [
        LedgerRow(
            canonical_id=f"moon/page_{n:02d}", status="done", at=START + 2 + n * 0.4,
            fetch_s=0.02, decode_s=0.05, ocr_s=0.1 * (n + 1), cost_usd=0.0005,
        )
        for n in range(38)
    ]  # fmt: skip
    lost = {"status": "failed", "at": START + 15, "source": "s3://b/none.jpg"}
    rows.append(LedgerRow(canonical_id=EVIL, code="not_found", message=f"no {EVIL}\x00", **lost))
    rows.append(LedgerRow(canonical_id="moon/page_39", code="timeout", message="slow", **lost))
    return rows


def make_job(
    url: str,
    *,
    rows: list[LedgerRow] | None = None,
    calls: list[CallRecord] | None = None,
    summary: bool = True,
    **what,
) -> JobState:
    state = JobState(url)
    checked = CheckedMethod("tesseract", {"tesseract": {"psm": 3}}, ("en",))
    state.begin(checked, run_id="r1", overwrite=False)
    log = CallLog(state.store, "r1")
    for record in CALLS if calls is None else calls:
        log.add(record)
    log.flush()
    state.write_rows("r1", "000001-1", page_rows() if rows is None else rows)
    if summary:
        state.write_summary(make_summary(state.store.url, **what))
    return state


def report_of(state: JobState, url: str = "") -> str:
    target = url or f"{state.store.url}/report.html"
    write_report(state, target)
    return state.store.get("report.html").decode() if not url else Path(url).read_text()


def find_pictures(html: str) -> dict[str, ElementTree.Element]:
    found = [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", html, re.DOTALL)]
    return {svg.findtext(f"{SVG}title") or "": svg for svg in found}


def test_a_report_is_well_formed_and_asks_nobody(memory_url: str) -> None:
    html = report_of(make_job(memory_url))
    assert html.startswith("<!DOCTYPE html>\n<html lang=")
    outline = Outline(html)
    names = {name for name, _ in outline.elements}
    assert not names & {"script", "link", "img", "iframe", "object", "base", "form"}
    attributes = {key for _, attrs in outline.elements for key in attrs}
    assert not {key for key in attributes if key in ("src", "href") or key.startswith("on")}
    assert "url(" not in html
    assert "@import" not in html
    (policy,) = [a for _, a in outline.elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy["content"] == "default-src 'none'; style-src 'unsafe-inline'"


def test_every_picture_has_a_name_a_summary_and_its_figures_as_a_table(memory_url: str) -> None:
    html = report_of(make_job(memory_url))
    pictures = find_pictures(html)
    assert len(pictures) == html.count("<svg") == 9
    for title, svg in pictures.items():
        assert title
        assert svg.findtext(f"{SVG}desc")
        assert svg.get("role") == "img"
        assert title in (svg.get("aria-label") or "")
    figures = re.findall(r"<figure>.*?</figure>", html, re.DOTALL)
    assert [figure.count("<table>") > 0 for figure in figures] == [True] * len(pictures)
    assert all("<figcaption>" in figure for figure in figures)


def test_ids_and_messages_of_users_stay_text(memory_url: str) -> None:
    outline = Outline(report_of(make_job(memory_url)))
    (table,) = [table for table in outline.tables if table[0][:2] == ["page", "code"]]
    failed = {row[0]: row[1:] for row in table[1:]}
    assert failed[EVIL][1] == f"no {EVIL} "


def test_an_output_of_evil_name_is_text_too(tmp_path: Path) -> None:
    html = report_of(make_job(str(tmp_path / "<b>&out")))
    assert "<b>" not in html
    assert "&lt;b&gt;&amp;out" in html


def test_figures_on_top_are_those_of_the_job(memory_url: str) -> None:
    html = report_of(make_job(memory_url))
    tiles = re.search(r"<dl.*?</dl>", html, re.DOTALL)
    assert tiles is not None
    text = re.sub(r"<[^>]*>", " ", tiles[0])
    # 0.002 + 0.003 + 0.001 + 0.002 + 0.001 + 0.002 of calls, 38 * 0.0005 of APIs, 0.005 of storage
    for said in (
        "38",
        "of 40 pages, 95 %",
        "$0.0350",
        "6",
        "4 done, 1 lost, 1 superseded",
        "640 MB",
    ):
        assert said in text, said


def test_cost_is_told_by_kind(memory_url: str) -> None:
    outline = Outline(report_of(make_job(memory_url)))
    assert outline.find_table("kind") == [
        ["compute", "$0.0090"],
        ["lost calls", "$0.0010"],
        ["superseded calls", "$0.0010"],
        ["APIs", "$0.0190"],
        ["storage", "$0.0050"],
        ["all", "$0.0350"],
    ]


def test_the_cost_so_far_ends_at_all_that_was_spent(memory_url: str) -> None:
    outline = Outline(report_of(make_job(memory_url)))
    (table,) = [t for t in outline.tables if t[0][-1] == "APIs"]
    assert table[-1][2:] == ["$0.0090", "$0.0020", "$0.0190"]


def test_prices_that_are_not_known_are_named(memory_url: str) -> None:
    costs = Costs(compute_usd=None, requests_usd=None)
    html = report_of(make_job(memory_url, costs=costs))
    assert "Not in the price table, and not in this sum: compute, requests." in html


def test_few_calls_are_bars_that_tell_what_they_are(memory_url: str) -> None:
    picture = find_pictures(report_of(make_job(memory_url)))["Calls, one bar each"]
    said = [title.text for group in picture.iter(f"{SVG}g") for title in group.iter(f"{SVG}title")]
    assert len(said) == len(CALLS)
    assert "000003 attempt 1: lost (worker_lost), 10 pages, 9 s" in said
    assert "000004 attempt 1 (backup): done, 10 pages, 5 s" in said
    widths = [float(r.get("width") or 0) for r in picture.iter(f"{SVG}rect")]
    assert all(0 < width <= 960 for width in widths)
    full = [r.get("class") for r in picture.iter(f"{SVG}rect") if "pale" not in r.get("class", "")]
    assert sorted(filter(None, full)) == ["c-done"] * 4 + ["c-lost", "c-spare"]


def test_many_calls_are_drawn_as_how_many_ran(memory_url: str) -> None:
    calls = [call(n, n * 0.5, n * 0.5 + 10) for n in range(2500)]
    html = report_of(make_job(memory_url, calls=calls))
    pictures = find_pictures(html)
    assert "Calls, one bar each" not in pictures
    picture = pictures["Calls that ran at a time, by what became of them"]
    assert "2,500 calls" in (picture.findtext(f"{SVG}desc") or "")
    assert "At most about 20 at once." in (picture.findtext(f"{SVG}desc") or "")
    assert len(html) < 150_000


def test_calls_that_all_ran_at_once_are_not_drawn_one_by_one(memory_url: str) -> None:
    calls = [call(n, 0, 10 + n / 100) for n in range(400)]
    assert "Calls, one bar each" not in find_pictures(report_of(make_job(memory_url, calls=calls)))


def test_failures_are_counted_by_code(memory_url: str) -> None:
    outline = Outline(report_of(make_job(memory_url)))
    by_code = {tuple(t[0]): t[1:] for t in outline.tables if t[0][0] == "code"}
    assert by_code["code", "pages that stayed failed", "attempts with another after"] == [
        ["not_found", "1", "0"],
        ["timeout", "1", "0"],
    ]
    assert by_code["code", "calls"] == [["worker_lost", "1"]]


def test_the_slowest_pages_come_slowest_first(memory_url: str) -> None:
    outline = Outline(report_of(make_job(memory_url)))
    (table,) = [t for t in outline.tables if t[0][:2] == ["page", "seconds"]]
    assert [row[0] for row in table[1:]] == [f"moon/page_{n:02d}" for n in range(37, 17, -1)]
    assert table[1][1:] == ["3.87 s", "20 ms", "50 ms", "3.8 s", "0 s"]


def test_a_pause_between_runs_is_left_out_and_said(memory_url: str) -> None:
    calls = [*CALLS, call(5, 7160, 7180)]
    html = report_of(make_job(memory_url, calls=calls))
    assert "Dashed lines are pauses that are left out: 1 h 59 min from" in html
    picture = find_pictures(html)["Calls, one bar each"]
    assert [line.get("class") for line in picture.iter(f"{SVG}line")].count("pause") == 1


@pytest.mark.parametrize("summary", [True, False])
def test_a_job_that_has_only_begun_has_a_report(memory_url: str, summary: bool) -> None:
    state = make_job(memory_url, rows=[], calls=[], summary=summary, costs=Costs())
    outline = Outline(report_of(state))
    text = " ".join(outline.texts)
    assert "No page has been tried yet." in text
    assert "This job has no record of its calls." in text
    assert ("no summary of a run can be read" in text) is not summary


def test_a_running_job_says_what_is_left_and_why_it_stopped(memory_url: str) -> None:
    state = make_job(memory_url, state="stopped", remaining=80, pages=120, message=f"why {EVIL}")
    text = " ".join(Outline(report_of(state)).texts)
    assert "about 20 s at this speed" in text
    assert f"why {EVIL}" in text


def test_a_report_can_be_a_file_here(memory_url: str, tmp_path: Path) -> None:
    assert "<!DOCTYPE html>" in report_of(make_job(memory_url), str(tmp_path / "a b#c.html"))


def test_an_output_without_a_job_has_no_report(memory_url: str) -> None:
    with pytest.raises(UsageError, match="there is no job"):
        write_report(JobState(memory_url), f"{memory_url}/report.html")
    assert not open_store(memory_url).exists("report.html")


def test_text_is_escaped_and_markup_is_not() -> None:
    cell = element("td", "<&>", Markup("<b>x</b>"), class_='"')
    assert cell == '<td class="&quot;">&lt;&amp;&gt;<b>x</b></td>'
    assert element("p", "a\x00\x1bb\u2028") == "<p>a  b\u2028</p>"

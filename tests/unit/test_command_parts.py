"""Parts of the command that decide or put into words."""

from datetime import UTC, datetime, timedelta

import pytest

from comic_ocr.cli.main import format_error
from comic_ocr.cli.progress import ProgressPrinter, describe_progress, format_seconds
from comic_ocr.cli.run import choose_output, describe_end, parse_options
from comic_ocr.cli.status import describe_run
from comic_ocr.errors import BackendError, EngineMissingError, UsageError
from comic_ocr.job.events import JobPlanned
from comic_ocr.job.summary import JobSummary

NOW = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)


def make_summary(**what) -> JobSummary:
    facts = {
        "job_id": "j",
        "run_id": "r",
        "method": "null",
        "output": "/out",
        "backend": "localhost",
        "workers": 2,
        "state": "finished",
        "pages": 100,
        "done_before": 0,
        "failed_before": 0,
        "done": 0,
        "failed": 0,
        "remaining": 0,
        "updated_at": NOW.isoformat(),
        "cost_usd": 0.0,
    }
    return JobSummary(**{**facts, **what})


@pytest.mark.parametrize(
    ("pairs", "options"),
    [
        ((), {}),
        (("psm=11", "tessdata=/x"), {"psm": "11", "tessdata": "/x"}),
        (("url=http://h/?a=b",), {"url": "http://h/?a=b"}),
        (("prompt=",), {"prompt": ""}),
        (("psm=3", "psm=11"), {"psm": "11"}),
        ((" psm =11",), {"psm": "11"}),
    ],
)
def test_options_are_pairs(pairs, options):
    assert parse_options(pairs) == options


def test_a_model_is_short_for_an_option():
    assert parse_options(("psm=3",), model="small") == {"psm": "3", "model": "small"}


@pytest.mark.parametrize("pair", ["psm", "", "=11"])
def test_an_option_that_is_no_pair_is_refused(pair):
    with pytest.raises(UsageError, match="is not KEY=VALUE"):
        parse_options((pair,), model=None)


def test_an_option_without_a_name_is_refused():
    with pytest.raises(UsageError):
        parse_options((" =11",))


def output_of(**flags) -> str:
    defaults = {
        "output": None,
        "output_bucket": None,
        "output_prefix": "ocr_results",
        "backend": "localhost",
    }
    return choose_output({**defaults, **flags})


def test_without_a_flag_results_go_to_a_folder_here():
    assert output_of() == "ocr_results"
    assert output_of(output="s3://b/x") == "s3://b/x"


@pytest.mark.parametrize(
    ("backend", "url"),
    [
        ("aws_lambda", "s3://pages/ocr_results"),
        ("aws_batch", "s3://pages/ocr_results"),
        ("azure_containers", "az://pages/ocr_results"),
        ("azure_functions", "az://pages/ocr_results"),
        ("gcp_cloudrun", "gs://pages/ocr_results"),
        ("gcp_functions", "gs://pages/ocr_results"),
        ("localhost", "s3://pages/ocr_results"),
        ("k8s", "s3://pages/ocr_results"),
    ],
)
def test_a_bucket_is_one_of_the_backends_cloud(backend, url):
    assert output_of(output_bucket="pages", backend=backend) == url


def test_a_bucket_with_a_scheme_is_where_it_says():
    assert output_of(output_bucket="gs://pages/", backend="aws_lambda") == "gs://pages/ocr_results"


@pytest.mark.parametrize("prefix", ["a/b", "/a/b", "a/b/", "//a/b//"])
def test_a_prefix_has_no_slashes_around_it(prefix):
    assert output_of(output_bucket="pages", output_prefix=prefix) == "s3://pages/a/b"


def test_an_output_and_a_bucket_exclude_each_other():
    with pytest.raises(UsageError, match="exclude each other"):
        output_of(output="x", output_bucket="y")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (40.4, "40 s"),
        (89.4, "89 s"),
        (90, "2 min"),
        (185, "3 min"),
        (7169, "119 min"),
        (7170, "2 h 00 min"),
        (7500, "2 h 05 min"),
        (360_000, "100 h 00 min"),
    ],
)
def test_durations_are_for_people(seconds, text):
    assert format_seconds(seconds) == text


def test_an_error_says_what_and_then_what_to_do():
    error = EngineMissingError('method "x" is not installed here.', hint="pip install x")
    assert format_error(error).splitlines() == [
        'error[engine_missing]: method "x" is not installed here.',
        "  try: pip install x",
    ]
    assert format_error(BackendError("gone")) == "error[backend_error]: gone"


def test_the_end_says_what_was_read_and_where_it_is():
    summary = make_summary(done=90, done_before=10, wall_s=30.0, pages_per_s=3.0)
    assert describe_end(summary).splitlines() == [
        "read 90 pages in 30.0 s (3.00 pages/s); 10 were done before",
        "results: /out/{canonical_id}_ocr.json",
    ]


def test_the_end_says_what_failed_and_how_to_see_it():
    codes = {"timeout": 1, "not_found": 3}
    summary = make_summary(done=90, failed=4, failed_before=6, failures_by_code=codes)
    assert describe_end(summary).splitlines()[1:4] == [
        "failed 4 pages: 3 not_found, 1 timeout",
        "6 pages failed earlier; --retry-failed tries them",
        "see each: batch_ocr failures /out",
    ]


def test_the_end_of_a_run_with_nothing_to_do_says_so():
    text = describe_end(make_summary(done_before=100))
    assert text.startswith("nothing to read: 100 of 100 pages are done\n")


def test_a_run_that_ended_is_described_by_its_end():
    summary = make_summary(done=9, failed=1, wall_s=5.0, pages_per_s=2.0)
    later = NOW + timedelta(days=9)
    assert describe_run(summary, later) == (
        "finished: 9 read, 1 failed, 0 left; 2.00 pages/s over 5 s; $0.0000"
    )


def test_a_run_that_writes_no_more_is_silent():
    summary = make_summary(state="running", remaining=5, cost_usd=None)
    assert describe_run(summary, NOW + timedelta(seconds=30)).startswith("running: 0 read")
    text = describe_run(summary, NOW + timedelta(minutes=10))
    assert text.startswith("silent for 10 min; run it again to go on: 0 read, 0 failed, 5 left")
    assert text.endswith("cost unknown")


def test_progress_says_how_long_it_still_takes():
    summary = make_summary(state="running", failed=2, remaining=600, pages_per_s=2.0, cost_usd=1.5)
    assert describe_progress(summary) == "2 failed, 2.00 pages/s, 5 min left, $1.50 so far"


def test_before_the_first_page_nobody_knows_how_long_it_takes():
    assert "left" not in describe_progress(make_summary(state="running", remaining=600))


def plan_of(expected_usd: float | None, **what) -> str:
    planned = JobPlanned(make_summary(**what), calls=4, expected_s=200, expected_usd=expected_usd)
    return ProgressPrinter.describe_plan(planned)


def test_a_plan_says_what_a_run_will_take():
    assert plan_of(1.25, remaining=70, done_before=20, failed_before=10) == (
        "null on localhost, 2 workers: 100 pages, 20 done before, 10 failed before, "
        "70 to read in about 4 calls, 3 min; compute $1.25"
    )
    assert plan_of(None, remaining=100).endswith("compute unknown")


def test_a_plan_without_pages_says_so():
    assert plan_of(0.0, done_before=100) == (
        "null on localhost, 2 workers: 100 pages, 100 done before, none to read"
    )


def test_progress_names_speed_and_cost_once_there_are_any():
    assert describe_progress(make_summary(done=0, pages_per_s=0.0, cost_usd=0.0)) == "0 failed"
    told = describe_progress(make_summary(pages_per_s=2.0, remaining=100, cost_usd=0.5))
    assert told == "0 failed, 2.00 pages/s, 50 s left, $0.5000 so far"
    assert "cost unknown" in describe_progress(make_summary(cost_usd=None))

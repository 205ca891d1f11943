"""What workers should take, and how many of them an API's limits can keep busy."""

import pytest

from comic_ocr.engines import find_method
from comic_ocr.engines.chat import options as chat_options
from comic_ocr.job import JobSpec
from comic_ocr.job.expect import expect, limit_workers
from comic_ocr.job.spec import check_spec

NOBODY = "http://127.0.0.1:9/v1"


@pytest.fixture(autouse=True)
def a_key(monkeypatch):
    chat_options._fetch_models.cache_clear()
    monkeypatch.setenv("COMIC_OCR_API_KEY", "x")


def check(method, **options):
    given = {key.replace("__", "."): value for key, value in options.items()}
    given["qwen.base_url"] = NOBODY
    return check_spec(JobSpec(manifest="pages.csv", method=method, options=given))


def test_pages_in_flight_share_a_worker_s_time():
    method = find_method("qwen")
    few = expect(*check("qwen", concurrency=4))
    many = expect(*check("qwen", concurrency=64))
    assert few.page_s == pytest.approx(method.typical_s / 4)
    assert few.page_s == pytest.approx(16 * many.page_s)


def test_later_methods_read_a_part_of_the_pages():
    null, qwen = find_method("null"), find_method("qwen")
    found = expect(*check("null,qwen", concurrency=1))
    assert null.typical_s < found.page_s < null.typical_s + qwen.typical_s
    assert found.load_s == null.load_s
    assert found.memory_mb == max(null.memory_mb, qwen.memory_mb)


@pytest.mark.parametrize(
    ("limits", "workers"),
    [
        ({}, 100),
        ({"max_in_flight": 0}, 100),
        ({"max_in_flight": 8}, 8),
        ({"max_in_flight": 1000}, 100),
        ({"requests_per_minute": 60}, 2),
        ({"requests_per_minute": 0.5}, 1),
        ({"requests_per_minute": 1e6}, 100),
        ({"requests_per_minute": 600, "max_in_flight": 5}, 5),
    ],
)
def test_no_more_workers_are_paid_than_the_limits_keep_busy(limits, workers):
    assert limit_workers(100, *check("qwen", **limits)) == workers


def test_a_job_without_an_api_has_its_workers():
    assert limit_workers(100, *check("null")) == 100


def test_a_later_method_s_rate_leaves_the_first_its_workers():
    assert limit_workers(100, *check("null,qwen", requests_per_minute=30)) == 100


def test_no_method_of_a_job_has_more_requests_in_flight_than_it_may():
    assert limit_workers(100, *check("null,qwen", max_in_flight=4)) == 4

"""From a sample to a whole job."""

import random
from collections import Counter

import pytest

from comic_ocr.job.cost import find_price, find_storage_price
from comic_ocr.job.plan import START_S, size_chunk
from comic_ocr.job.predict import (
    Means,
    Place,
    Work,
    find_spread,
    page_seconds,
    plan_calls,
    predict_size,
    resample,
    take_means,
)
from comic_ocr.job.sample import SampledPage, sample_pages
from comic_ocr.page import PageRef

LAMBDA = Place(compute=find_price("aws_lambda"), storage=find_storage_price("s3"))


def number_pages(count):
    return (PageRef(canonical_id=str(n), source=f"{n}.png") for n in range(count))


def draw(count, size, seed=0):
    pages, seen = sample_pages(number_pages(count), size, random.Random(seed))
    assert seen == count
    return [int(page.canonical_id) for page in pages]


@pytest.mark.parametrize(("count", "size"), [(0, 5), (1, 5), (4, 5), (5, 5)])
def test_a_manifest_that_is_small_is_read_whole(count, size):
    assert draw(count, size) == list(range(count))


@pytest.mark.parametrize("count", [6, 9, 10, 11, 19, 20, 21, 1000, 12_345])
def test_a_sample_has_its_size_and_the_order_of_the_manifest(count):
    drawn = draw(count, 5)
    assert len(set(drawn)) == 5
    assert drawn == sorted(drawn)


@pytest.mark.parametrize("count", [7, 23, 40, 41, 63])
def test_every_page_has_the_same_chance(count):
    tries = 4000
    hits = Counter(page for seed in range(tries) for page in draw(count, 5, seed))
    expected = tries * 5 / count
    assert all(abs(hits[page] - expected) < 5 * expected**0.5 for page in range(count))


def test_a_sample_spreads_over_the_manifest():
    # Of samples drawn without strata, 4 % would leave out a quarter (4 x 0.75^16).
    for seed in range(300):
        quarters = {page // 2500 for page in draw(10_000, 16, seed)}
        assert quarters == {0, 1, 2, 3}


def test_a_seed_says_what_is_drawn():
    assert draw(1000, 20, seed=1) == draw(1000, 20, seed=1) != draw(1000, 20, seed=2)


def sample(*core_s, wait_s=0.0, api_usd=0.0):
    return [SampledPage(core_s=s, wait_s=wait_s, api_usd=api_usd) for s in core_s]


def test_the_interval_of_a_mean_is_that_of_statistics():
    chance = random.Random(3)
    pages = sample(*[chance.gauss(1.0, 0.2) for _ in range(400)])
    spread = find_spread(resample(pages, random.Random(0)), lambda means: means.core_s)
    # 1.645 standard errors on either side
    assert spread.high - spread.low == pytest.approx(2 * 1.645 * 0.2 / 20, rel=0.15)
    assert spread.low < take_means(pages).core_s < spread.high


def test_the_interval_holds_the_truth_about_nine_times_in_ten():
    chance, held = random.Random(5), 0
    for _ in range(100):
        pages = sample(*[chance.expovariate(1) for _ in range(40)])
        spread = find_spread(resample(pages, chance), lambda means: means.core_s)
        held += spread.low <= 1.0 <= spread.high
    assert 80 < held < 98


def test_one_page_tells_no_spread():
    resampled = resample(sample(1.0), random.Random(0))
    assert find_spread(resampled, lambda means: means.core_s) is None


def test_a_worker_is_held_up_by_its_cores_or_by_waiting():
    assert page_seconds(Means(2.0, 0.5, 0.0), speed=0.5, in_flight=1) == 4.0
    assert page_seconds(Means(0.01, 8.0, 0.0), speed=1.0, in_flight=32) == 0.25
    assert page_seconds(Means(0.01, 8.0, 0.0), speed=1.0, in_flight=32, least_s=2.0) == 2.0


@pytest.mark.parametrize(
    ("pages", "workers", "page_s"), [(1, 100, 1.0), (1000, 1, 0.4), (20_000, 300, 1.1)]
)
def test_calls_are_those_that_the_planner_makes(pages, workers, page_s):
    calls = plan_calls(pages, workers=workers, page_s=page_s, load_s=2.0)
    left, count = pages, 0
    while left:
        left -= size_chunk(left, workers=workers, page_s=page_s, load_s=2.0)
        count += 1
    assert calls.count == count
    assert calls.worker_s == pytest.approx(pages * page_s + count * (2.0 + START_S))
    assert calls.worker_s / workers <= calls.wall_s + 1e-6 <= calls.worker_s + 1e-3


def test_one_worker_takes_all_calls_one_after_another():
    calls = plan_calls(5000, workers=1, page_s=0.4, load_s=2.0)
    assert calls.wall_s == pytest.approx(calls.worker_s)


def test_many_workers_end_together():
    calls = plan_calls(100_000, workers=100, page_s=1.0, load_s=2.0)
    assert calls.wall_s == pytest.approx(calls.worker_s / 100, rel=0.03)


def make_work(**what):
    pages = sample(0.8, 1.0, 1.2, wait_s=what.pop("wait_s", 0.0), api_usd=what.pop("api_usd", 0.0))
    facts = {
        "pages": 10_000,
        "workers": 50,
        "means": take_means(pages),
        "resampled": resample(pages, random.Random(0)),
        "load_s": 2.0,
        "in_flight": 3,
        "least_memory_mb": 1024,
    }
    return Work(**{**facts, **what})


def test_below_one_vcpu_memory_changes_the_time_and_hardly_the_price():
    small, full = (predict_size(make_work(), LAMBDA, mb) for mb in (885, 1769))
    assert small.wall_s == pytest.approx(2 * full.wall_s, rel=0.1)
    assert small.costs.compute_usd == pytest.approx(full.costs.compute_usd, rel=0.05)
    # a second of a core is $0.0000288, and loading adds a little
    assert full.costs.compute_usd / 10_000 == pytest.approx(0.0000288, rel=0.1)


def test_above_one_vcpu_idle_cores_are_paid():
    full, wide = (predict_size(make_work(), LAMBDA, mb) for mb in (1769, 3538))
    assert wide.wall_s == pytest.approx(full.wall_s)
    assert wide.costs.compute_usd == pytest.approx(2 * full.costs.compute_usd)


def test_a_size_below_the_methods_is_marked():
    assert predict_size(make_work(), LAMBDA, 1023).too_small
    assert not predict_size(make_work(), LAMBDA, 1024).too_small


def test_a_spread_lies_around_the_mean():
    found = predict_size(make_work(), LAMBDA, 1769)
    assert found.known_usd_spread.low < found.known_usd < found.known_usd_spread.high
    assert found.wall_s_spread.low < found.wall_s < found.wall_s_spread.high
    assert found.known_usd == pytest.approx(found.costs.known_usd)


def test_a_sample_of_one_page_gives_no_spread():
    found = predict_size(make_work(resampled=()), LAMBDA, 1769)
    assert found.known_usd_spread is None
    assert found.wall_s_spread is None
    assert found.known_usd > 0


def test_where_compute_is_unknown_the_rest_is_shown():
    place = Place(compute=None, storage=LAMBDA.storage)
    found = predict_size(make_work(api_usd=0.001, asks_api=True), place, 1024)
    assert found.unknown == ("compute", "requests")
    assert found.vcpus is None
    assert found.costs.api_usd == pytest.approx(10.0)
    # 2 PUT a page are $0.10; calls and polls add less than a cent
    assert found.costs.storage_usd == pytest.approx(0.1 + 0.004, abs=0.01)
    assert found.known_usd == pytest.approx(10.0 + found.costs.storage_usd)


def test_an_api_is_waited_for_by_many_pages_at_once():
    few, many = (predict_size(make_work(wait_s=60.0, in_flight=n), LAMBDA, 1769) for n in (3, 30))
    assert few.worker_s == pytest.approx(10 * many.worker_s, rel=0.1)


def test_a_limit_on_requests_sets_the_pace():
    found = predict_size(make_work(workers=2, least_page_s=4.0), LAMBDA, 1769)
    assert found.wall_s == pytest.approx(10_000 * 4.0 / 2, rel=0.1)


def test_images_from_the_workers_own_store_are_paid():
    far, near = (
        predict_size(make_work(in_cloud=share), LAMBDA, 1769).costs.storage_usd
        for share in (0.0, 0.5)
    )
    assert near - far == pytest.approx(5000 * 0.0004 / 1000)


def test_workers_that_share_a_core_take_longer():
    alone = Place(compute=find_price("localhost"), storage=None, polls=False)
    shared = Place(compute=find_price("localhost"), storage=None, core_share=0.25, polls=False)
    times = [predict_size(make_work(), place, 1024).wall_s for place in (alone, shared)]
    assert times[1] == pytest.approx(4 * times[0], rel=0.1)

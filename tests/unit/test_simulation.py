"""The simulated cloud: the real driver on it, each fault alone, and the same again by its seed."""

import time
from collections import Counter

import msgspec
import pytest

from comic_ocr.backends import CallResult, RealClock
from comic_ocr.job import JobSpec, JobState, run_job
from comic_ocr.job.events import ChunkLost
from comic_ocr.page import ChunkRef, PageRef, PageResult, result_key
from comic_ocr.storage import open_store
from comic_ocr.testing.simulation import (
    CloudModel,
    FaultShares,
    SimulatedCloud,
    VirtualClock,
    count_results,
    write_manifest,
)
from comic_ocr.testing.simulation.job import name_page
from comic_ocr.worker import ChunkTask, WorkSpec

PAGES = 3000
WORKERS = 10
FAULTS = [
    "slow",
    "lost",
    "never_started",
    "killed",
    "out_of_memory",
    "slow_storage",
    "storage_error",
    "duplicated",
    "deadline",
    "throttled",
]


@pytest.fixture
def spec(tmp_path, memory_url):
    """Return a job of 3,000 pages for ten workers."""
    return make_spec(tmp_path, memory_url, PAGES)


def make_spec(folder, output, pages) -> JobSpec:
    return JobSpec(
        manifest=write_manifest(folder / "pages.csv", pages),
        method="tesseract",
        output=output,
        backend="aws_lambda",
        workers=WORKERS,
    )


def make_cloud(**options) -> SimulatedCloud:
    model = CloudModel(most_workers=WORKERS, **options.pop("model", {}))
    return SimulatedCloud(model=model, **options)


class OneCall:
    """A cloud and a plan of some pages in its store, for calls without a driver."""

    def __init__(self, url: str, pages: int, **options) -> None:
        self.store = open_store(url)
        self.cloud = make_cloud(**options)
        refs = [PageRef(canonical_id=f"p{i}", source=f"/p{i}.jpg") for i in range(pages)]
        plan = msgspec.json.Encoder().encode_lines(refs)
        self.store.put("plan.jsonl", plan)
        self.chunk = ChunkRef(
            chunk_id="000001",
            plan_key="plan.jsonl",
            slices=((0, len(plan)),),
            pages=pages,
            method="tesseract",
        )

    def start(self, *, copies: int = 1, **work) -> int:
        spec = WorkSpec(output=self.store.url, run_id="run1", **work)
        tasks = [ChunkTask(spec, self.chunk, copy) for copy in range(copies)]
        return self.cloud.submit(tasks)

    def wait(self, seconds: float) -> list[CallResult]:
        self.cloud.clock.sleep(seconds)
        return self.cloud.poll()

    @property
    def written(self) -> int:
        return sum(entry.key.endswith("_ocr.json") for entry in self.store.list())


def test_a_job_reads_every_page_once(spec):
    cloud = make_cloud()
    summary = run_job(spec, backend=cloud)
    assert (summary.state, summary.done, summary.failed) == ("finished", PAGES, 0)
    results = count_results(spec.output)
    assert (results.written, results.failed, results.done_twice) == (PAGES, 0, 0)
    assert cloud.account.pages_written == PAGES


def test_minutes_pass_in_a_moment(spec):
    cloud = make_cloud()
    started = time.monotonic()
    summary = run_job(spec, backend=cloud)
    # 3,000 pages of 0.4 s on ten workers
    assert 120 < summary.wall_s < 240
    assert summary.wall_s == pytest.approx(cloud.clock.now(), abs=2)
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("fault", FAULTS)
def test_with_one_kind_of_fault_every_page_is_accounted_for(spec, fault):
    cloud = make_cloud(seed=5, faults=FaultShares(**{fault: 0.1}))
    summary = run_job(spec, backend=cloud)
    results = count_results(spec.output)
    assert summary.state == "finished"
    assert results.pages == PAGES
    assert results.done_twice == 0
    assert summary.done + summary.failed == PAGES
    assert results.failed <= summary.failed
    # What befalls calls by chance is no page's fault.
    assert results.failed <= 2
    if fault == "throttled":
        assert cloud.account.throttled
    else:
        assert cloud.account.fates[fault]


def test_with_every_fault_at_once_every_page_is_accounted_for(spec):
    faults = FaultShares.of_every_kind(0.02, slow=0.05)
    cloud = make_cloud(seed=2, faults=faults, model={"unreadable_share": 0.01})
    summary = run_job(spec, backend=cloud)
    results = count_results(spec.output)
    assert summary.state == "finished"
    assert results.pages == PAGES
    assert results.done_twice == 0
    assert 10 < results.failures_by_code["not_an_image"] < 60


def test_the_same_seed_is_the_same_job(tmp_path, memory_url):
    def run(name: str, seed: int):
        job = make_spec(tmp_path, f"{memory_url}/{name}", 1000)
        cloud = make_cloud(seed=seed, faults=FaultShares.of_every_kind(0.03))
        summary = run_job(job, backend=cloud)
        return cloud.account, summary.wall_s, summary.cost_usd

    first = run("first", 11)
    assert run("second", 11) == first
    assert run("third", 12) != first


@pytest.mark.parametrize(("kind", "code"), [("poison", "worker_lost"), ("big", "out_of_memory")])
def test_a_page_that_kills_its_workers_costs_itself_alone(spec, kind, code):
    page = name_page(1234)
    deadly = {"poison": [page]} if kind == "poison" else {"needs_mb": {page: 1e6}}
    cloud = make_cloud(**deadly)
    run_job(spec, backend=cloud)
    (row,) = JobState(spec.output).open_failures(set())
    assert (row.canonical_id, row.code) == (page, code)
    assert count_results(spec.output).written == PAGES - 1
    stops = cloud.account.stops
    assert 1 < stops["killed"] + stops["out_of_memory"] <= 8


def test_a_page_that_needs_more_memory_gets_it(spec):
    cloud = make_cloud(needs_mb={name_page(77): 5000.0})
    summary = run_job(spec, backend=cloud)
    assert (summary.done, summary.failed) == (PAGES, 0)
    assert cloud.account.stops["out_of_memory"]


def test_a_driver_that_dies_is_followed_by_one_that_finishes(spec):
    cloud = make_cloud(seed=3)
    ended = 0

    def die(_event):
        nonlocal ended
        ended += 1
        if ended == 30:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_job(spec, backend=cloud, on_event=die)
    between = count_results(spec.output)
    assert between.written < PAGES
    # Its workers work on beside those of the next.
    summary = run_job(spec, backend=cloud)
    assert summary.done_before >= between.written
    cloud.run_out()
    results = count_results(spec.output)
    assert (results.written, results.failed, results.done_twice) == (PAGES, 0, 0)
    assert cloud.account.pages_written == PAGES


def test_losses_are_told_to_the_driver(spec):
    losses = Counter()

    def watch(event):
        if isinstance(event, ChunkLost):
            losses[event.code] += 1

    cloud = make_cloud(seed=1, faults=FaultShares(killed=0.2))
    run_job(spec, backend=cloud, on_event=watch)
    assert losses["worker_lost"] == cloud.account.stops["killed"] > 0


def test_a_call_that_is_lost_is_heard_of_after_its_timeout(memory_url):
    one = OneCall(memory_url, 10, faults=FaultShares(lost=1.0))
    one.start()
    assert one.wait(300) == []
    assert one.written == 10
    assert one.wait(900 + 600 - 301) == []
    (result,) = one.wait(2)
    assert result.loss is not None
    assert result.loss.code == "worker_lost"


def test_a_killed_call_leaves_pages_and_no_ledger(memory_url):
    one = OneCall(memory_url, 200, faults=FaultShares(killed=1.0))
    one.start()
    (result,) = one.wait(600)
    assert result.report is None
    assert 0 < one.written < 200
    assert not list(one.store.list("_comic_ocr"))


def test_a_duplicated_call_reports_twice_and_writes_once(memory_url):
    one = OneCall(memory_url, 50, faults=FaultShares(duplicated=1.0))
    one.start()
    results = one.wait(600)
    assert [result.report.done for result in results if result.report] == [50, 0]
    assert [result.report.found for result in results if result.report] == [0, 50]
    assert one.written == 50


def test_a_call_stops_at_its_deadline_and_says_what_it_did_not_reach(memory_url):
    one = OneCall(memory_url, 1000)
    one.start(deadline_s=40.0)
    (result,) = one.wait(600)
    report = result.report
    assert report is not None
    assert 70 < report.done == one.written < 130
    assert report.unreached == ((report.done, 1000),)


def test_a_copy_finds_what_the_first_call_has_written_by_then(memory_url):
    one = OneCall(memory_url, 100, model={"page_s": 1.0, "cold_start_s": (0.0, 0.0)})
    one.start()
    one.wait(50)
    spec = WorkSpec(output=one.store.url, run_id="run1")
    one.cloud.submit([ChunkTask(spec, one.chunk, 1)])
    results = one.wait(600)
    copy = next(result.report for result in results if result.copy == 1)
    assert copy is not None
    assert copy.found + copy.done == 100
    assert copy.found >= 40


def test_no_more_calls_are_taken_than_the_account_allows(memory_url):
    one = OneCall(memory_url, 10, model={"page_s": 10.0})
    assert one.start(copies=WORKERS + 5) == WORKERS
    assert one.start() == 0
    one.wait(600)
    assert one.start() == 1


def test_the_second_call_of_a_container_starts_warm(memory_url):
    one = OneCall(memory_url, 1, model={"page_s": 1.0, "page_sigma": 0.0})
    one.start()
    one.wait(60)
    first_s = one.cloud.account.paid_s
    one.start()
    one.wait(60)
    assert one.cloud.account.cold_starts == 1
    assert first_s > 3.3
    assert one.cloud.account.paid_s - first_s == pytest.approx(0.1 + 0.3 + 1.0)


def test_pages_can_be_real(tmp_path, memory_url):
    spec = make_spec(tmp_path, memory_url, 20)
    run_job(spec, backend=make_cloud(real_pages=True))
    data = open_store(spec.output).get(result_key(name_page(7)))
    page = msgspec.json.decode(data, type=PageResult)
    assert (page.canonical_id, page.ocr_method) == (name_page(7), "simulated")


def test_the_time_of_playing_is_told_from_the_time_of_driving(spec):
    cloud = make_cloud()
    started = time.process_time()
    run_job(spec, backend=cloud)
    assert 0 < cloud.played_cpu_s < time.process_time() - started


def test_virtual_time_passes_by_sleep_alone():
    clock, real = VirtualClock(), RealClock()
    started = real.now()
    before = clock.time()
    clock.sleep(3600.0)
    clock.sleep(0.5)
    assert clock.now() == 3600.5
    assert clock.time() - before == 3600.5
    assert real.now() - started < 5


def test_a_job_that_never_ends_is_found_out():
    clock = VirtualClock(longest_s=100.0)
    with pytest.raises(RuntimeError, match="no end"):
        clock.sleep(101.0)


def test_shares_of_faults_are_what_befalls_calls(memory_url):
    one = OneCall(memory_url, 1, faults=FaultShares.of_every_kind(0.05, slow=0.1))
    for _ in range(300):
        one.start()
        one.wait(30)
    fates = one.cloud.account.fates
    assert fates.total() == pytest.approx(300, abs=40)
    assert 12 < fates["slow"] < 55
    assert set(fates) >= {"well", "slow", "lost", "killed", "duplicated"}


def test_workers_auto_ends_not_long_after_all_workers_at_once(tmp_path, memory_url):
    def run(name: str, *, autoscale: bool, limit: int = 1000):
        job = make_spec(tmp_path, f"{memory_url}/{name}", 30_000)
        job = msgspec.structs.replace(job, workers=200, autoscale=autoscale)
        return run_job(job, backend=SimulatedCloud(model=CloudModel(most_workers=limit), seed=5))

    fixed, auto = run("fixed", autoscale=False), run("auto", autoscale=True)
    assert (auto.done, auto.failed) == (30_000, 0)
    assert auto.wall_s < fixed.wall_s + 120
    throttled = run("throttled", autoscale=True, limit=40)
    assert throttled.done == 30_000

"""A million pages on a thousand workers, in a simulated cloud: is all there, and what it takes.

    python benchmarks/scale.py [--pages 1000000] [--only 1,2,3,4,7] [--plot] [--json] [--folder DIR]

The real driver plans, submits, retries, backs up and counts, against comic_ocr.testing.simulation:
recognition and time are played, the store (in memory) and all that lies in it are real. Fewer pages
get fewer workers, one for each thousand. Ends with exit code 1 when a bound is missed.

1. Every page once in the results with 2 % of every fault; the driver's CPU and memory; its CPU per
   page at a hundredth, a tenth and all of the pages.
2. Resume of a job of which 99.9 % is done: files on this disk, and S3 (moto) with its requests.
3. Time from start to end with 5 % stragglers at ten times, with and without backups.
4. Share of the paid time that is recognition.
7. What a page costs that kills each of its workers.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from plot import draw_cost
from resume import read_peak_mb, resume_files, resume_s3

from comic_ocr.job import JobSpec, run_job
from comic_ocr.job.cost import find_price
from comic_ocr.job.events import ChunkLost, JobPlanned
from comic_ocr.testing.simulation import (
    CloudModel,
    FaultShares,
    SimulatedCloud,
    count_results,
    write_manifest,
)
from comic_ocr.testing.simulation.job import name_page

PAGES_PER_WORKER = 1000
_LEAST_COMPARED = 10_000
PLOT = Path(__file__).parents[1] / "docs" / "explanation" / "driver-cost.svg"


@dataclass(frozen=True)
class Bound:
    """A figure, and what it must be."""

    what: str
    value: float
    most: float | None = None
    least: float | None = None

    @property
    def holds(self) -> bool:
        return not (
            (self.most is not None and self.value > self.most)
            or (self.least is not None and self.value < self.least)
        )


def in_child(function: Callable[..., dict[str, Any]], *given: Any) -> dict[str, Any]:
    """Return what the function returns in a process of its own, whose memory is its alone."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *given).result()


def drive(pages: int, workers: int, **cloud_options: Any) -> dict[str, Any]:
    """Return the figures of one job on a cloud of that many workers."""
    model = CloudModel(most_workers=workers, **cloud_options.pop("model", {}))
    cloud = SimulatedCloud(model=model, **cloud_options)
    losses: Counter[str] = Counter()
    planned_cpu_s = []

    def watch(event: object) -> None:
        if isinstance(event, JobPlanned):
            planned_cpu_s.append(time.process_time() - started_cpu_s)
        if isinstance(event, ChunkLost):
            losses[f"{event.code}: {event.decision}"] += 1

    with tempfile.TemporaryDirectory() as folder:
        spec = JobSpec(
            manifest=write_manifest(Path(folder) / "pages.csv", pages),
            method="tesseract",
            output=f"memory://{uuid.uuid4().hex}/out",
            backend="aws_lambda",
            workers=workers,
        )
        before_mb, started, started_cpu_s = read_peak_mb(), time.perf_counter(), time.process_time()
        summary = run_job(spec, backend=cloud, on_event=watch)
    cpu_s = time.process_time() - started_cpu_s
    figures = {
        "pages": pages,
        "real_s": time.perf_counter() - started,
        "driver_cpu_s": cpu_s - cloud.played_cpu_s,
        "planning_cpu_s": planned_cpu_s[0],
        "played_cpu_s": cloud.played_cpu_s,
        "peak_mb": read_peak_mb(),
        "before_mb": before_mb,
        "makespan_s": summary.wall_s,
        "done": summary.done,
        "failed": summary.failed,
        "failures_by_code": summary.failures_by_code,
        "usd_by_driver": summary.cost_usd,
        "losses": dict(losses),
    }
    cloud.run_out()
    figures["usd_by_cloud"] = bill(cloud)
    account = {name: _plain(value) for name, value in vars(cloud.account).items()}
    return {**figures, "account": account, "results": asdict(count_results(spec.output))}


def bill(cloud: SimulatedCloud) -> float:
    """Return the dollars that the cloud asks for compute, of calls that nobody heard of too."""
    price = find_price("aws_lambda")
    assert price is not None
    return price.of(cloud.account.paid_gb_s, 1024, cloud.account.calls)


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Counter) else value


def drive_faulty(pages: int, workers: int) -> dict[str, Any]:
    """Return the figures of a job with 2 % of every fault, after one that loads all code."""
    faults = FaultShares.of_every_kind(0.02, slow=0.02)
    drive(1000, 1, faults=faults)
    return drive(pages, workers, faults=faults, seed=1, model={"unreadable_share": 0.002})


def check_all_there(pages: int, workers: int, plot: bool) -> tuple[dict[str, Any], list[Bound]]:
    # In smaller jobs, what every job costs once is most of it.
    sizes = [size for size in (pages // 100, pages // 10) if size >= _LEAST_COMPARED] + [pages]
    times = (5, 3, 1)[-len(sizes) :]
    runs = [
        # Of short jobs the fastest of some: this machine has other work, too.
        min(
            (in_child(drive_faulty, size, max(1, size // PAGES_PER_WORKER)) for _ in range(count)),
            key=lambda run: float(run["driver_cpu_s"]),
        )
        for size, count in zip(sizes, times, strict=True)
    ]
    all_at_once = in_child(drive_faulty, sizes[0], workers)
    big = runs[-1]
    results = big["results"]
    costs = [run["driver_cpu_s"] / run["pages"] * 1e6 for run in runs]
    if plot:
        parts = [run["planning_cpu_s"] / run["pages"] * 1e6 for run in runs]
        draw_cost(PLOT, sizes, costs, parts)
    figures = {
        "run": big,
        "driver_us_per_page": dict(zip(sizes, costs, strict=True)),
        "driver_us_per_page_few_pages_all_workers": all_at_once["driver_cpu_s"] / sizes[0] * 1e6,
    }
    bounds = [
        Bound("pages without result or failure", pages - results["written"] - results["failed"], 0),
        Bound("pages in results, of the summary's", results["written"] - big["done"], least=0),
        Bound("pages done twice in the ledger", results["done_twice"], 0),
        Bound("share of pages given up to faults", _lost_share(big), 0.001),
        Bound("driver's CPU, minutes", big["driver_cpu_s"] / 60, 15),
        Bound("peak memory with the store in it, MiB", big["peak_mb"], 1024),
        Bound(
            "cost by the driver, of the cloud's bill", big["usd_by_driver"] / big["usd_by_cloud"]
        ),
        Bound("driver's CPU per page, dearest to cheapest size", max(costs) / min(costs), 1.3),
    ]
    return figures, bounds


def _lost_share(run: dict[str, Any]) -> float:
    """Return pages that failed, less those that nobody can read."""
    codes = dict(run["results"]["failures_by_code"])
    codes.pop("not_an_image", None)
    return float(sum(codes.values()) / run["pages"])


def check_stragglers(pages: int, workers: int) -> tuple[dict[str, Any], list[Bound]]:
    slow = FaultShares(slow=0.05)
    calm = in_child(_drive_calm, pages, workers, FaultShares(), True)
    alone = in_child(_drive_calm, pages, workers, slow, False)
    helped = in_child(_drive_calm, pages, workers, slow, True)
    paid = [run["account"]["paid_gb_s"] for run in (alone, helped)]
    bounds = [
        Bound("time with backups, to none slow", helped["makespan_s"] / calm["makespan_s"], 1.5),
        Bound("cost with backups, to without", paid[1] / paid[0], 1.05),
    ]
    return {"calm": calm, "without_backups": alone, "with_backups": helped}, bounds


def _drive_calm(pages: int, workers: int, faults: FaultShares, backups: bool) -> dict[str, Any]:
    return drive(pages, workers, faults=faults, backups=backups, seed=3)


def check_efficiency(pages: int, workers: int) -> tuple[dict[str, Any], list[Bound]]:
    run = in_child(_drive_calm, pages, workers, FaultShares(), True)
    share = run["account"]["useful_s"] / run["account"]["paid_s"]
    return run, [
        Bound("share of paid time that is recognition", share, least=0.9),
        Bound(
            "cost by the driver, of the cloud's bill", run["usd_by_driver"] / run["usd_by_cloud"]
        ),
    ]


def check_poison(pages: int, workers: int) -> tuple[dict[str, Any], list[Bound]]:
    runs = {
        "killed": in_child(_drive_poison, pages, workers, True),
        "out_of_memory": in_child(_drive_poison, pages, workers, False),
    }
    bounds = []
    for kind, run in runs.items():
        bounds += [
            Bound(f"{kind}: pages that failed", run["results"]["failed"], 1, 1),
            Bound(f"{kind}: calls that died", run["account"]["stops"][kind], 8, 1),
        ]
    return runs, bounds


def _drive_poison(pages: int, workers: int, kills: bool) -> dict[str, Any]:
    page = name_page(pages // 3)
    if kills:
        return drive(pages, workers, poison=[page], seed=7)
    return drive(pages, workers, needs_mb={page: 1e6}, seed=7)


def check_resume(pages: int, folder: str | None) -> tuple[dict[str, Any], list[Bound]]:
    files = in_child(resume_files, pages, folder)
    s3 = in_child(resume_s3, max(1000, min(10_000, pages // 100)))
    bounds = [
        Bound("files: planning, seconds", files["planning_s"], 60),
        Bound("files: peak memory, MiB", files["peak_mb"], 1024),
        Bound("files: pages planned, of those left", files["planned"] / files["left"], 1, 1),
        Bound("s3: requests per 1,000 pages", s3["requests_per_1000_pages"], 20),
        Bound("s3: pages planned, of those left", s3["planned"] / s3["left"], 1, 1),
    ]
    return {"files": files, "s3": s3}, bounds


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pages", type=int, default=1_000_000)
    parser.add_argument("--only", default="1,2,3,4,7", help="numbers of benchmarks, as 1,3")
    parser.add_argument("--plot", action="store_true", help=f"write {PLOT.name} into the docs")
    parser.add_argument("--json", action="store_true", help="all figures")
    parser.add_argument("--folder", help="where a million files may lie; default the system's")
    asked = parser.parse_args()
    pages, workers = asked.pages, max(1, asked.pages // PAGES_PER_WORKER)
    checks: dict[str, Callable[[], tuple[dict[str, Any], list[Bound]]]] = {
        "1": lambda: check_all_there(pages, workers, asked.plot),
        "2": lambda: check_resume(pages, asked.folder),
        "3": lambda: check_stragglers(pages, workers),
        "4": lambda: check_efficiency(pages, workers),
        "7": lambda: check_poison(pages, workers),
    }
    print(f"{pages} pages, {workers} workers, {platform.machine()}, {os.cpu_count()} cores")
    missed = 0
    for number in asked.only.split(","):
        figures, bounds = checks[number]()
        if asked.json:
            print(json.dumps({number: figures}, indent=1))
        for bound in bounds:
            missed += not bound.holds
            verdict = "ok    " if bound.holds else "MISSED"
            print(f"{number}  {verdict} {describe(bound)}", flush=True)
    sys.exit(1 if missed else 0)


def describe(bound: Bound) -> str:
    limits = [f"at least {bound.least:g}"] if bound.least is not None else []
    limits += [f"at most {bound.most:g}"] if bound.most is not None else []
    return f"{bound.what:<52} {bound.value:>10.4g}   ({', '.join(limits) or 'no bound'})"


if __name__ == "__main__":
    main()

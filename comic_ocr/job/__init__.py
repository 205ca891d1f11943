"""The job: plan, run, retry, ledger, cost."""

from comic_ocr.job.events import Event, EventHandler
from comic_ocr.job.run import estimate_job, run_job
from comic_ocr.job.spec import JobSpec, default_workers
from comic_ocr.job.state import JobState
from comic_ocr.job.summary import JobSummary

__all__ = [
    "Event",
    "EventHandler",
    "JobSpec",
    "JobState",
    "JobSummary",
    "default_workers",
    "estimate_job",
    "run_job",
]

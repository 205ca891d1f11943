"""What runs inside a Lithops call."""

from comic_ocr.worker.spec import WorkSpec
from comic_ocr.worker.task import ChunkTask, run_chunk

__all__ = ["ChunkTask", "WorkSpec", "run_chunk"]

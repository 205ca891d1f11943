"""What to do with the pages of a call that was lost, as a pure decision."""

from __future__ import annotations

from typing import Literal

from comic_ocr.backends import CallLoss
from comic_ocr.errors import OutOfMemoryError, StorageError

#: `found`: what was to be given up had been written before
Decision = Literal["retry", "split", "give_up", "found", "abort"]

#: Calls that a set of pages gets before it is split, and a single page before it is given up.
_CALLS_TOGETHER = 2
#: Calls that a chunk gets when storage fails, which no splitting mends.
_CALLS_ON_STORAGE_ERROR = 4


def decide_loss(
    loss: CallLoss,
    *,
    pages: int,
    deaths: int,
    deaths_alone: int,
    storage_losses: int,
    may_grow: bool = False,
) -> Decision:
    """Return what becomes of the pages of a lost call.

    A worker that died may die of one page: after a second death the chunk is cut in eight, until
    that page stands alone, and when it has killed two calls alone it is given up: of 2,000 pages in
    the seventh call. Pages that were written before the loss are not read again.

    Args:
        loss: how the call ended.
        pages: how many it had.
        deaths: calls that died with these pages or more, this one included.
        deaths_alone: those with just these pages.
        storage_losses: calls with these pages or more that could not use the storage.
        may_grow: the next call gets more memory than this one had.
    """
    if loss.code == StorageError.code:
        return "retry" if storage_losses < _CALLS_ON_STORAGE_ERROR else "abort"
    if deaths < _CALLS_TOGETHER:
        return "retry"
    if pages > 1:
        return "split"
    return "retry" if may_grow or deaths_alone < _CALLS_TOGETHER else "give_up"


def next_memory_mb(loss: CallLoss, *, memory_mb: int, most_mb: int) -> int:
    """Return the memory of the calls that take a lost call's pages.

    Doubled after a death for want of memory, so that few sizes of runtime come about.

    Args:
        loss: how the call ended.
        memory_mb: that it had.
        most_mb: that the backend gives; 0 where it gives no choice.
    """
    if loss.code != OutOfMemoryError.code or memory_mb >= most_mb:
        return memory_mb
    return min(1 << memory_mb.bit_length(), most_mb)

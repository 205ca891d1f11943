"""What to do with the pages of a call that was lost, as a pure decision."""

from __future__ import annotations

from typing import Literal

from comic_ocr.backends import CallLoss
from comic_ocr.errors import StorageError

Decision = Literal["retry", "split", "give_up", "abort"]

#: Calls that a set of pages gets before it is split, and a single page before it is given up.
_CALLS_TOGETHER = 2
#: Calls that a chunk gets when storage fails, which no splitting mends.
_CALLS_ON_STORAGE_ERROR = 4


def decide_loss(loss: CallLoss, *, attempt: int, pages: int) -> Decision:
    """Return what becomes of the pages of a lost call.

    A worker that died may die of one page: after a second loss the chunk is halved, until that
    page stands alone and is given up. Pages that were written before the loss are not read again.

    Args:
        loss: how the call ended.
        attempt: calls that these pages had, this one included.
        pages: how many there are.
    """
    if loss.code == StorageError.code:
        return "retry" if attempt < _CALLS_ON_STORAGE_ERROR else "abort"
    if attempt < _CALLS_TOGETHER:
        return "retry"
    return "split" if pages > 1 else "give_up"

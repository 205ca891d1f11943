"""What both packages offer to the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
#: text, confidence 0-1, and four corners (x, y) in pixels
Line = tuple[str, float, Any]


class Reader(NamedTuple):
    """Both networks, loaded."""

    #: of the package and of what runs the networks
    version: str
    #: names of the networks
    model: str
    #: page in BGR → its lines, in the package's own order
    read: Callable[[Pixels], Iterable[Line]]

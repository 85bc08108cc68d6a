"""What is made as the program starts stays to its end, and is a great deal."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_THRESHOLDS: Final = (20_000, 20, 10)


@contextmanager
def kept() -> Iterator[None]:
    """The garbage collector goes through nothing meanwhile, and through what was made until then never again.

    Afterwards it looks less often than it would: what a request leaves behind is no garbage in circles.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.set_threshold(*_THRESHOLDS)
        if was_on:
            gc.enable()

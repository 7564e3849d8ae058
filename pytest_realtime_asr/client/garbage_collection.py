"""The garbage collector during a measurement.

A collection stops every session of the process. The more objects there are, the longer
it takes: with hundreds of sessions, tens of milliseconds. This time would count as the
client's own delay.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_gc() -> Iterator[None]:
    """Prevent automatic collections until the end of the block.

    There is no collection at the start of the block either, since sessions may be
    running. If the program calls the collector explicitly, the collection skips the
    objects that existed at the start of the block. Reference cycles are kept until the
    end of the block; all other memory is freed as always. Blocks may be nested; the
    earlier state is restored in any case.
    """
    enabled, frozen = gc.isenabled(), gc.get_freeze_count()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        if not frozen:
            gc.unfreeze()
        if enabled:
            gc.enable()

"""The garbage collector during a measurement.

A collection stops every session of the process, the longer the more objects there are:
with hundreds of sessions for tens of milliseconds, which would be the client's own
delay.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_gc() -> Iterator[None]:
    """Collect once, then keep the collector from running until the end of the block.

    Objects that exist at the start are left out of later collections until the end.
    Reference cycles that are made in the block are kept until its end; all other memory
    is freed as always. Blocks may be nested; the state from before is restored in any
    case.
    """
    enabled, frozen = gc.isenabled(), gc.get_freeze_count()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        if not frozen:
            gc.unfreeze()
        if enabled:
            gc.enable()

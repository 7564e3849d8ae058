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
    """Keep the collector from running until the end of the block.

    It does not run at the start either, since sessions may be running. Objects that
    exist at the start are left out of collections by hand as well. Reference cycles are
    kept until the end of the block; all other memory is freed as always. Blocks may be
    nested; the state from before is restored in any case.
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

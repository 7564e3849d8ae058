"""The garbage collector is quiet in the block, and as before after it."""

from __future__ import annotations

import gc
import weakref

import pytest

from pytest_realtime_asr.client.garbage_collection import quiet_gc


class Ring:
    """An object that refers to itself."""

    def __init__(self) -> None:
        self.itself = self


def test_no_collection_runs_in_the_block() -> None:
    ran: list[str] = []

    def note(phase: str, info: dict[str, int]) -> None:
        ran.append(phase)

    with quiet_gc():
        gc.callbacks.append(note)
        ring = weakref.ref(Ring())
        rings = [Ring() for _ in range(3 * gc.get_threshold()[0])]
        gc.callbacks.remove(note)
        assert ring() is not None
        assert gc.get_freeze_count() > 0
    assert ran == []
    del rings
    gc.collect()
    assert ring() is None


@pytest.mark.parametrize("enabled", [True, False])
def test_the_state_from_before_is_restored_after_an_error(enabled: bool) -> None:
    before = gc.isenabled()
    (gc.enable if enabled else gc.disable)()
    try:
        with pytest.raises(KeyError), quiet_gc():
            raise KeyError("x")
        assert (gc.isenabled(), gc.get_freeze_count()) == (enabled, 0)
    finally:
        (gc.enable if before else gc.disable)()


def test_an_inner_block_does_not_end_the_outer_one() -> None:
    with quiet_gc():
        with quiet_gc():
            pass
        assert not gc.isenabled()
        assert gc.get_freeze_count() > 0
    assert gc.get_freeze_count() == 0

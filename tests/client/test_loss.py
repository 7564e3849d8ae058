"""How a session ended whose connection is closed."""

from __future__ import annotations

import pytest

from pytest_realtime_asr.client.loss import LOSSES, ending
from pytest_realtime_asr.client.transport import Closed
from pytest_realtime_asr.trace.records import Ending


@pytest.mark.parametrize(
    ("closed", "how"),
    [
        (Closed(1000, "", by_client=False), Ending.CLOSED_BY_PEER),
        (Closed(1000, "", by_client=True), Ending.CLOSED_BY_US),
        (Closed(None, "broke", by_client=False), Ending.BROKEN),
        (Closed(1002, "", by_client=True, protocol_error=True), Ending.BROKEN),
        (Closed(1009, "", by_client=True, too_large=True), Ending.CANCELLED),
    ],
)
def test_a_close_is_attributed_to_the_side_that_caused_it(
    closed: Closed, how: Ending
) -> None:
    assert ending(closed) is how


def test_every_ending_is_a_loss() -> None:
    assert set(LOSSES) == set(Ending)

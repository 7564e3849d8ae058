"""Numbers with a unit, as a user writes them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from pytest_realtime_asr.text.inputs import InputError
from pytest_realtime_asr.text.quantities import (
    decibels,
    milliseconds,
    percent,
    quantity,
)


@pytest.mark.parametrize(
    ("parse", "written", "found"),
    [
        (decibels, "10dB", 10),
        (decibels, " -6.5 dB ", -6.5),
        (decibels, "+3dB", 3),
        (percent, "5%", 0.05),
        (percent, "110 %", 1.1),
        (percent, ".5%", 0.005),
        (milliseconds, "1.2s", 1200),
        (milliseconds, "1h", 3_600_000),
        (milliseconds, timedelta(seconds=1), 1000),
    ],
)
def test_a_valid_quantity_is_parsed(
    parse: Callable[[object], float], written: object, found: float
) -> None:
    assert parse(written) == pytest.approx(found)


@pytest.mark.parametrize(
    ("parse", "said"),
    [
        (decibels, "is not a level: .* such as '10dB' or '-6dB'$"),
        (percent, "is not a share: .* such as '5%'$"),
        (milliseconds, "is not a duration: "),
    ],
)
@pytest.mark.parametrize(
    "written", ["", "10", "dB", "10DB", "1e3dB", "nandB", "1,5%", "5pp", 10, None, "٣s"]
)
def test_an_invalid_quantity_is_refused(
    parse: Callable[[object], float], said: str, written: object
) -> None:
    with pytest.raises(InputError, match=said):
        parse(written)


def test_only_a_signed_quantity_has_a_sign() -> None:
    assert quantity("-5ms", ("ms",)) is None
    assert quantity("-5ms", ("ms",), signed=True) == (-5, "ms")
    assert quantity("5s", ("ms",)) is None

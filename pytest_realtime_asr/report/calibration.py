"""The text of a calibration."""

from __future__ import annotations

from pytest_realtime_asr.run.calibration import Calibration


def line(calibration: Calibration) -> str:
    """Return the largest error in one line."""
    worst = calibration.worst
    error = calibration.errors[worst]
    return (
        f"calibrated {calibration.made:%Y-%m-%d %H:%M} UTC: the worst, {worst}, is off "
        f"by {error.bias:+.1f} ms, 95 % within {error.spread:.1f} ms of it"
    )


def table(calibration: Calibration) -> list[str]:
    """Return the lines of a table of all errors."""
    return [
        f"the client's own error on {calibration.machine}, in ms",
        f"{'':32}{'n':>4} {'bias':>8} {'spread':>8}",
        *(
            f"{name:32}{error.n:4} {error.bias:+8.2f} {error.spread:8.2f}"
            for name, error in calibration.errors.items()
        ),
        "bias: median of measured - ideal; spread: 95 % are within it of the bias",
    ]

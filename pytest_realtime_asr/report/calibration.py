"""The lines that show a calibration to the user."""

from __future__ import annotations

from pytest_realtime_asr.run.calibration import Calibration


def line(calibration: Calibration) -> str:
    """Return one line about the metric with the largest error."""
    worst = calibration.worst
    error = calibration.errors[worst]
    return (
        f"calibrated {calibration.made:%Y-%m-%d %H:%M} UTC; {worst} has the largest "
        f"error: bias {error.bias:+.1f} ms, spread {error.spread:.1f} ms"
    )


def table(calibration: Calibration) -> list[str]:
    """Return a table of the errors of all metrics, as lines."""
    return [
        f"the client's own error on {calibration.machine}, in ms",
        f"{'':32}{'n':>4} {'bias':>8} {'spread':>8}",
        *(
            f"{name:32}{error.n:4} {error.bias:+8.2f} {error.spread:8.2f}"
            for name, error in calibration.errors.items()
        ),
        "bias is the median of the errors (measured - ideal); 95 % of the errors are "
        "within bias +/- spread",
    ]

"""The error of a caller who sends an utterance in a session that can have no more."""

from __future__ import annotations

from pytest_realtime_asr.dialects import Dialect, can
from pytest_realtime_asr.requirements.capability import Capability

_ANOTHER = (
    "open another session for the next utterance (with realtime.connect(), or with "
    "realtime.transcribe(), which opens a session for each utterance)"
)


class NoFurtherUtterance(RuntimeError):
    """An utterance was to be sent in a session that can have no further one.

    This is an error of the caller and not a loss, since nothing was sent. ``why`` says
    why the session can have no further utterance.
    """

    def __init__(self, why: str) -> None:
        super().__init__(f"{why}; {_ANOTHER}")


def refuse_further(dialect: Dialect, items: int) -> None:
    """Raise `NoFurtherUtterance` if a session with ``items`` utterances is complete."""
    if items and not can(dialect, Capability.SEVERAL_UTTERANCES):
        raise NoFurtherUtterance(
            f"a session of the dialect {dialect.name} has only one utterance"
        )

"""The configuration of a fake server."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from pytest_realtime_asr.dialects import Dialect
from pytest_realtime_asr.fake.capacity import Capacity


class Timing(enum.Enum):
    """The delay of a recorded answer: as it was recorded, or none."""

    RECORDED = "recorded"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class FakeConfig:
    """The behaviour of a fake server; all times are in seconds.

    ``faults`` are names of faults. A client must send the ``key`` unless the key is
    empty. ``seed`` is the seed of the session ids. ``version`` is what the path
    ``/version`` shows. If it is "", the server does not serve this path; if it is
    ``None``, the path shows the version that the dialect names. ``variety`` is the seed
    of the legal variation, or ``None`` for no variation. A session lasts at
    most ``limit``. Without a ``capacity``, the server serves any number of utterances.

    ``recordings`` names the recordings that the server replays; it is "" if the server
    replays none. ``timing`` is the delay of the recorded answers.
    """

    dialect: Dialect
    models: tuple[str, ...] = ("fake",)
    word_delay: float = 0.3
    final_delay: float = 0.25
    faults: tuple[str, ...] = ()
    key: str = ""
    seed: int | None = None
    version: str | None = None
    variety: int | None = None
    limit: float = 3600.0
    capacity: Capacity | None = None
    recordings: str = ""
    timing: Timing = Timing.RECORDED

    @property
    def shown_version(self) -> str:
        """The version that the server shows, or "" if the server shows none."""
        if self.version is None:
            return self.dialect.traits.operations.version
        return self.version

"""The configuration of a fake server."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_realtime_asr.dialects import Dialect


@dataclass(frozen=True, slots=True)
class FakeConfig:
    """The behaviour of a fake server; delays and the session ``limit`` are in seconds.

    ``faults`` are names of faults. A client must send the ``key`` unless the key is
    empty. ``seed`` is the seed of the session ids. ``version`` is the version that
    ``/version`` shows (``None``: there is no such path). ``variety`` is the seed of the
    legal variation (``None``: no variation).
    """

    dialect: Dialect
    models: tuple[str, ...] = ("fake",)
    word_delay: float = 0.3
    final_delay: float = 0.25
    faults: tuple[str, ...] = ()
    key: str = ""
    seed: int | None = None
    version: str | None = "0.33.0"
    variety: int | None = None
    limit: float = 3600.0

"""The configuration of a fake server."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_realtime_asr.dialects import Dialect


@dataclass(frozen=True, slots=True)
class FakeConfig:
    """How a fake server behaves; delays and the session ``limit`` are in seconds.

    ``faults`` are names. A client needs the ``key`` unless it is empty. ``seed`` is the
    seed of the session ids, ``version`` the answer of ``/version`` (``None``: no such
    route). ``variety`` is the seed of the legal differences between sessions (``None``:
    no differences).
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

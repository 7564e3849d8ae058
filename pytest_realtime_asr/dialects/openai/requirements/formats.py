"""Requirements on the audio formats that a server accepts."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_realtime_asr.dialects.openai.profile import Profile
from pytest_realtime_asr.dialects.openai.requirements.declared import bug, clause
from pytest_realtime_asr.requirements import checks
from pytest_realtime_asr.requirements.requirement import Level, Proof, Requirement


def formats(profile: Profile) -> Iterable[Requirement]:
    """Yield a requirement for each audio format other than the default format."""
    for name in ("pcmu", "pcma"):
        source = clause("realtime_audio_formats", f"audio/{name} is the G.711 format")
        yield _same_text(name, name.upper(), source)
    for rate in profile.rates[1:]:
        source = bug("sgl-project/sglang#22848")
        yield _same_text(f"{rate}hz", f"PCM at {rate} Hz", source)


def _same_text(role: str, audio_format: str, clause: str) -> Requirement:
    return Requirement(
        f"same-text-{role}",
        f"a clip has the same text in {audio_format} as in the default format",
        Level.SHOULD,
        clause,
        checks.both(checks.finishes(role), checks.same_text(role)),
        scenarios=("alone", role),
        proof=Proof(("one-rate",)),
    )

"""The invalid frames that a server of Deepgram's protocol should refuse."""

from __future__ import annotations

from pytest_realtime_asr.dialects.deepgram.profile import Profile, capabilities
from pytest_realtime_asr.requirements import shared
from pytest_realtime_asr.requirements.scenario_steps import Misuse


def misuses(profile: Profile) -> tuple[Misuse, ...]:
    """Return the invalid frames that the suite sends to servers of a profile."""
    if profile.refusals:
        return shared.misuses_for(capabilities(profile))
    return shared.misuses("bad-json")

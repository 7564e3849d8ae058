"""Profiles: the capabilities in which servers of this protocol differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_realtime_asr.dialects import profile_words


@dataclass(frozen=True, slots=True)
class Profile:
    """The capabilities of a server, and what a client sends to it.

    - ``rate``: the sample rate that the client configures, in Hz
    - ``config``: the server reads a configuration; without one, ``rate`` must be the
      sample rate that the server was started with
    - ``reset``: the server knows the message ``reset``, so that a session can have
      several utterances
    """

    name: str = "vosk"
    rate: int = 16_000
    config: bool = True
    reset: bool = False


PROFILES: Mapping[str, Profile] = {
    each.name: each
    for each in (
        Profile(),
        Profile("vosk-reset", reset=True),
        Profile("vosk-cpp", rate=8_000, config=False),
    )
}


def chosen(words: Sequence[str], *, base: Profile) -> Profile:
    """Return the profile that the words name and change, as in ``rate=8000``.

    Raises ValueError for a word that cannot be parsed.
    """
    return profile_words.chosen(PROFILES, words, base=base, fixed=("name",))


def changes(profile: Profile) -> str:
    """Return the changes that turn the default profile into ``profile``."""
    return profile_words.changes(profile, of=Profile())

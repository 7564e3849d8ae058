"""Profiles: the capabilities in which servers of this protocol differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_realtime_asr.dialects import profile_words


@dataclass(frozen=True, slots=True)
class Profile:
    """The capabilities of a server, and what a client sends to it.

    - ``rate``: the sample rate that the client configures, in Hz
    - ``config``: whether the server reads a configuration; if not, ``rate`` must be the
      sample rate that the server was started with
    - ``reset``: whether the server knows the message ``reset``, with which a session
      can have several utterances
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
    """Return the profile that the first word names, with changes like ``rate=8000``.

    If no profile is named, the changes apply to ``base``. Raises ValueError for an
    unknown name and for a word that cannot be parsed.
    """
    return profile_words.chosen(PROFILES, words, base=base, fixed=("name",))


def changes(profile: Profile) -> str:
    """Return the changes that turn the default profile into ``profile``."""
    return profile_words.changes(profile, of=Profile())

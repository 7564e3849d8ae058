"""Profiles: the capabilities in which servers of this protocol differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

_FLAGS = {"yes": True, "no": False}


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


def profiled(profile: Profile, words: Iterable[str]) -> Profile:
    """Return the profile that ``words`` name and change, starting from ``profile``.

    Raises ValueError for a word that cannot be parsed.
    """
    first, *others = words
    if "=" not in first:
        if first not in PROFILES:
            there = ", ".join(PROFILES)
            raise ValueError(f"there is no profile {first!r}; choose from {there}")
        profile = PROFILES[first]
    else:
        others = [first, *others]
    for word in others:
        profile = _changed(profile, word)
    return profile


def changes(profile: Profile) -> str:
    """Return the changes that turn the default profile into ``profile``."""
    base = PROFILES["vosk"]
    found = [f"rate={profile.rate}"] if profile.rate != base.rate else []
    for name in ("config", "reset"):
        value = getattr(profile, name)
        if value != getattr(base, name):
            found.append(f"{name}={'yes' if value else 'no'}")
    return " ".join(found)


def _changed(profile: Profile, word: str) -> Profile:
    name, _, value = word.partition("=")
    match name:
        case "rate" if value.isdecimal() and 1_000 <= int(value) <= 192_000:
            return replace(profile, rate=int(value))
        case "config" if value in _FLAGS:
            return replace(profile, config=_FLAGS[value])
        case "reset" if value in _FLAGS:
            return replace(profile, reset=_FLAGS[value])
    raise ValueError(
        f"{word!r} changes no capability; write rate=16000, config=no or reset=yes"
    )

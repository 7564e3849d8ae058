"""What one server of this protocol can do and another cannot, as data."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Profile:
    """A server's capabilities, and how it wants to be asked.

    ``rates`` are those of PCM in Hz, the first one is what we send; ``companded`` says
    that it takes PCMU and PCMA, ``vad`` that it detects turns. ``early`` text may come
    before the commit; ``items`` are announced beside their commit. ``least`` is the
    shortest audio in s that can be committed, and ``empty`` the code by which less is
    refused (empty: any). In the ``query`` of the URL ``{model}`` is the model's name.
    ``key`` is the header of the key, where Authorization carries it as a bearer's.
    ``greeting`` is what the server says first, ``update`` how it is set up, ``done``
    whether it is told that no more audio will come. ``usage`` counts tokens, or is a
    duration.
    """

    name: str = "openai"
    beta: bool = False
    rates: tuple[int, ...] = (24_000,)
    companded: bool = True
    vad: bool = True
    early: bool = True
    items: bool = True
    least: float = 0.1
    empty: str = "input_audio_buffer_commit_empty"
    query: str = "intent=transcription"
    key: str = "Authorization"
    greeting: str = "session.created"
    update: str = "session.update"
    done: bool = False
    usage: str = "tokens"


PROFILES: Mapping[str, Profile] = {
    each.name: each
    for each in (
        Profile(),
        Profile("azure", key="api-key"),
        Profile(
            "sglang",
            rates=(24_000, 16_000, 48_000),
            companded=False,
            vad=False,
            least=0.0,
            empty="invalid_state",
            usage="duration",
        ),
        Profile("localai", query="intent=transcription&model={model}", empty=""),
        Profile(
            "beta",
            beta=True,
            greeting="transcription_session.created",
            update="transcription_session.update",
        ),
        Profile(
            "speaches",
            beta=True,
            companded=False,
            early=False,
            empty="",
            query="model={model}&intent=transcription",
            usage="duration",
        ),
        Profile(
            "riva",
            beta=True,
            rates=(16_000,),
            companded=False,
            vad=False,
            empty="",
            greeting="conversation.created",
            update="transcription_session.update",
            done=True,
        ),
    )
}


def changed(profile: Profile, words: Iterable[str]) -> Profile:
    """The profile with other capabilities, written like ``rates=16000 vad=no``.

    ValueError names the word that cannot be read, and the capabilities there are.
    """
    readers = {each.name: _READERS[str(each.type)] for each in fields(Profile)}
    del readers["name"], readers["beta"]  # which are another profile
    changes: dict[str, object] = {}
    for word in words:
        name, sign, text = word.partition("=")
        if not sign or name not in readers:
            raise ValueError(
                f"{word!r} is no capability; there are: {', '.join(readers)}, each "
                "written like vad=no"
            )
        try:
            changes[name] = readers[name](text)
        except ValueError:
            raise ValueError(
                f"{word!r} cannot be read; now it is {getattr(profile, name)!r}"
            ) from None
    return replace(profile, **changes)  # type: ignore[arg-type]


def changes(profile: Profile) -> str:
    """What differs from the first profile of its shape, as `changed` reads it."""
    base = PROFILES["beta" if profile.beta else "openai"]
    found = []
    for each in fields(Profile):
        value = getattr(profile, each.name)
        if each.name != "name" and value != getattr(base, each.name):
            found.append(f"{each.name}={_WRITERS[str(each.type)](value)}")
    return " ".join(found)


def _flag(text: str) -> bool:
    if text.lower() not in ("yes", "no"):
        raise ValueError(text)
    return text.lower() == "yes"


def _size(text: str) -> float:
    size = float(text)
    if not 0 <= size < math.inf:
        raise ValueError(text)
    return size


def _rates(text: str) -> tuple[int, ...]:
    rates = tuple(int(each) for each in text.split(","))
    if not all(8_000 <= rate <= 192_000 for rate in rates):
        raise ValueError(text)
    return rates


_READERS: Mapping[str, Callable[[str], object]] = {
    "str": str,
    "bool": _flag,
    "float": _size,
    "tuple[int, ...]": _rates,
}
_WRITERS: Mapping[str, Callable[[Any], str]] = {
    "str": str,
    "bool": lambda value: "yes" if value else "no",
    "float": "{:g}".format,
    "tuple[int, ...]": lambda value: ",".join(map(str, value)),
}

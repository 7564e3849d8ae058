"""Profiles: the capabilities in which servers of this protocol differ."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Profile:
    """The capabilities of a server, and how a client connects to it.

    - ``beta``: the server has the beta shape of the protocol
    - ``rates``: sample rates of PCM in Hz; the client sends the first one
    - ``companded``: the server supports PCMU and PCMA
    - ``vad``: the server detects turns
    - ``early``: text of an item may come before its commit
    - ``items``: the server sends conversation items in addition to committed events
    - ``least``: the shortest audio that can be committed, in seconds
    - ``empty``: the error code for a commit of audio shorter than ``least``; "" means
      any code
    - ``query``: the query of the URL, with ``{model}`` for the name of the model
    - ``key``: the header with the API key; ``Authorization`` has it as a bearer token
    - ``greeting``: the first event of the server
    - ``update``: the event of the client that sets the session up
    - ``done``: the client sends ``input_audio_buffer.done`` at the end of the audio
    - ``usage``: what the usage of an item counts, ``tokens`` or ``duration``
    - ``expires``: the session says when it expires
    - ``most``: the longest audio that the server accepts before a commit, in s; 0 means
      any length
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
    expires: bool = True
    most: float = 0.0


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
            expires=False,
            most=60.0,
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
    """Return the profile with changes, each written as ``rates=16000`` or ``vad=no``.

    Raises ValueError for a word that cannot be parsed.
    """
    kinds = {each.name: str(each.type) for each in fields(Profile)}
    del kinds["name"], kinds["beta"]  # a user chooses these with the profile
    changes: dict[str, object] = {}
    for word in words:
        name, sign, text = word.partition("=")
        if not sign or name not in kinds:
            raise ValueError(
                f"{word!r} is not a capability; choose from {', '.join(kinds)}, and "
                "give the value as in vad=no"
            )
        try:
            changes[name] = _READERS[kinds[name]](text)
        except ValueError:
            default = _WRITERS[kinds[name]](getattr(profile, name))
            raise ValueError(
                f"the value of {word!r} is not valid; the default is {name}={default}"
            ) from None
    return replace(profile, **changes)  # type: ignore[arg-type]


def changes(profile: Profile) -> str:
    """Return the changes that turn the default profile into ``profile``.

    The default profile is the one of the same shape. The changes are written as
    `changed` reads them, as in ``rates=16000 vad=no``.
    """
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

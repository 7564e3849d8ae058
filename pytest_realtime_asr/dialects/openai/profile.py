"""Profiles: the capabilities in which servers of this protocol differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_realtime_asr.dialects import profile_words


@dataclass(frozen=True, slots=True)
class Profile:
    """The capabilities of a server, and how a client connects to it.

    - ``beta``: the server has the beta shape of the protocol
    - ``rates``: sample rates of PCM in Hz; the client sends the first one
    - ``companded``: the server supports PCMU and PCMA
    - ``vad``: the server detects turns
    - ``early``: the server may send text of an item before the item is committed
    - ``items``: the server sends conversation items in addition to committed events
    - ``least``: the shortest audio that can be committed, in seconds
    - ``empty``: the error code for a commit of audio shorter than ``least``; "" means
      any code
    - ``query``: the query of the URL, with ``{model}`` for the name of the model
    - ``key``: the header with the API key; in ``Authorization``, the key is a bearer
      token
    - ``greeting``: the first event of the server
    - ``update``: the event of the client that sets the session up
    - ``done``: the client sends ``input_audio_buffer.done`` at the end of the audio
    - ``usage``: what the usage of an item counts, ``tokens`` or ``duration``
    - ``expires``: the server says when the session expires
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


def chosen(words: Sequence[str], *, base: Profile) -> Profile:
    """Return the profile that ``words`` describe, as in ``sglang vad=no``.

    The first word may be the name of a profile with the shape of ``base``. The other
    words change this profile, or ``base`` if no profile is named. Raises ValueError for
    an unknown name and for a word that cannot be parsed.
    """
    profiles = {each.name: each for each in PROFILES.values() if each.beta == base.beta}
    return profile_words.chosen(profiles, words, base=base, fixed=("name", "beta"))


def changes(profile: Profile) -> str:
    """Return the changes that make ``profile`` from the default profile of its shape.

    The changes are written as `chosen` reads them.
    """
    return profile_words.changes(
        profile, of=PROFILES["beta" if profile.beta else "openai"]
    )

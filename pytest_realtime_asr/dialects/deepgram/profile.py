"""Profiles: the capabilities in which servers of this protocol differ."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_realtime_asr.dialects import profile_words
from pytest_realtime_asr.requirements.capability import Capability


class End(enum.Enum):
    """The event by which the client ends an utterance."""

    FINALIZE = "finalize"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class Profile:
    """The capabilities of a server, and how a client connects to it.

    - ``end``: the event by which the client ends an utterance, ``finalize`` or
      ``close``; with ``close``, a session has only one utterance
    - ``greeting``: the server opens a session with `Metadata`
    - ``refusals``: the server answers each unknown event by an error
    - ``rates``: sample rates in Hz; the client sends the first one
    - ``companded``: the server supports mulaw and alaw
    - ``contiguous``: each segment begins where the segment before it ends
    - ``refused``: the answer to invalid options, which is the HTTP status of the
      handshake or the close code of an open session
    - ``models``: the server refuses the name of a model that it does not have
    - ``key``: the word before the API key in the header ``Authorization``
    """

    name: str = "deepgram"
    end: End = End.FINALIZE
    greeting: bool = False
    refusals: bool = True
    rates: tuple[int, ...] = (16_000, 8_000, 48_000)
    companded: bool = True
    contiguous: bool = True
    refused: int = 400
    models: bool = True
    key: str = "Token"

    @property
    def finalizes(self) -> bool:
        """Whether the client may end an utterance and go on with the session."""
        return self.end is End.FINALIZE


PROFILES: Mapping[str, Profile] = {
    each.name: each
    for each in (
        Profile(),
        Profile(
            "whisperlivekit-listen",
            end=End.CLOSE,
            greeting=True,
            refusals=False,
            rates=(16_000,),
            companded=False,
            contiguous=False,
            refused=4400,
            models=False,
        ),
    )
}


def chosen(words: Sequence[str], *, base: Profile) -> Profile:
    """Return the profile that ``words`` describe, as in ``rates=8000``.

    The first word may be the name of a profile. The other words change this profile,
    or ``base`` if no profile is named. Raises ValueError for an unknown name and for a
    word that cannot be parsed.
    """
    return profile_words.chosen(PROFILES, words, base=base, fixed=("name",))


def changes(profile: Profile) -> str:
    """Return the changes from the default profile to ``profile``.

    The changes are written as `chosen` reads them.
    """
    return profile_words.changes(profile, of=Profile())


def capabilities(profile: Profile) -> frozenset[Capability]:
    """Return the capabilities that the protocol has with a server of this profile."""
    found = {
        Capability.SESSION_IDS,
        Capability.PARTIALS,
        Capability.SETTLED,
        Capability.WORD_TIMES,
    }
    if profile.finalizes:
        found.add(Capability.SEVERAL_UTTERANCES)
    else:
        found.add(Capability.EMPTY_UTTERANCES)
    if profile.greeting:
        found.add(Capability.GREETING)
    if profile.refusals:
        found |= {Capability.TYPED_EVENTS, Capability.REFUSALS}
    return frozenset(found)

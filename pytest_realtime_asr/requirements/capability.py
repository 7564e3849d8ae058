"""Capabilities: properties of a protocol that shared requirements may need."""

from __future__ import annotations

import enum


class Capability(enum.Enum):
    """A property that only some protocols have.

    The value completes the sentence "a protocol in which ...".
    """

    GREETING = "the server sends an event as soon as the connection is open"
    SESSION_IDS = "the server gives each session an id"
    SET_UP = "the client sends frames that set the session up"
    SEVERAL_UTTERANCES = "a session can have several utterances, one after the other"
    EMPTY_UTTERANCES = "the client can end an utterance for which it sent no audio"
    TYPED_EVENTS = "each text frame of the client is a JSON object with a type"
    TEXT_AUDIO = "the client sends audio in text frames"
    REFUSALS = "the server answers an invalid frame by an error, and goes on"
    PARTIALS = "the server sends text while the client is still sending audio"
    USAGE = "the final of an utterance states its usage figures"
    SETTLED = "the server says which part of a text will not change any more"
    WORD_TIMES = "the final of an utterance states the times of its words"


EVERY = frozenset(Capability)
"""All capabilities."""

PLAIN = EVERY - {Capability.SETTLED, Capability.WORD_TIMES}
"""All capabilities except settled text and word times."""

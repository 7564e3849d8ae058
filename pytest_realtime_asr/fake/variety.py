"""A sound server is not one fixed behaviour: wherever it may differ, this one does.

Each session has a style of its own, drawn from the seed and the number of the session,
so that runs repeat: where the text is cut into partials and when they come, what its
ids look like, which fields and events it has beyond the protocol, how it words its
errors, what it counts, whether it answers a set-up. Whoever takes one of these for a
fault is too strict.

Now and then a word of the text is another one. Servers compute sessions in batches, and
how a batch rounds may decide between two words that are about as likely; so a healthy
server differs from itself. It does so by chance: the same place, heard again, has its
word, and never are two changes in the same place one after the other.
"""

from __future__ import annotations

import enum
import random
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from uuid import UUID

import msgspec

from pytest_realtime_asr.dialects import Reaction, Server
from pytest_realtime_asr.fake.machine import (
    Event,
    World,
    Wrapped,
    edited,
    error_edited,
    event,
    is_error,
)
from pytest_realtime_asr.timeline import Usage

CHANGED = 1 / 200  # of the words
LATER = 0.2  # s at most by which a word is later than it was to be

_OTHERS = ("the", "a", "and", "one", "there", "that", "it")
_NOVELTIES = ("server.heartbeat", "rate_limits.updated", "debug.trace", "ping")
_EXTRAS: Mapping[str, Callable[[int], object]] = {
    "event_id": lambda number: f"event_{number:06d}",
    "sequence": lambda number: number,
    "object": lambda number: "realtime.event",
    "language": lambda number: "en",
    "logprobs": lambda number: None,
    "segment": lambda number: {"speaker": None, "channel": 0},
}
_WORDINGS: Mapping[str, Sequence[str]] = {
    "invalid_json": ("The message is not valid JSON.", "could not parse the message"),
    "unknown_event": ("This type of event is not supported.", "unsupported event"),
    "invalid_event": ("A required field is missing.", "field required: model"),
    "model_not_found": ("There is no such model.", "model not served here"),
    "model_not_validated": (
        "Model not validated. Make sure to validate the model by sending a "
        "session.update event.",
        "set the session up first",
    ),
    "invalid_audio": ("The audio cannot be decoded.", "expected base64 of PCM16"),
    "invalid_frame": ("Only text frames are accepted.", "unexpected binary frame"),
    "processing_error": ("The event cannot be processed.", "bad request"),
}
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_JOINER = "\u200d"
_SHORT = 10_000  # characters; longer frames carry audio


class _Cut(enum.Enum):
    """Where the text is cut into partials."""

    WORDS = "as it comes, word by word"
    SEVERAL = "after a few words"
    INSIDE = "within words, the rest of which comes with the next"
    FINE = "after every few characters"


class _Pace(enum.Enum):
    """When a word is said."""

    EARLY = "as soon as it was heard"
    EVEN = "after the delay of the server"
    LATE = "somewhat later, by a different time each"


class Varied(Wrapped):
    """A sound machine with a style of its own."""

    def __init__(self, server: Server, world: World, seed: int) -> None:
        super().__init__(server, world)
        # One source for each cause: which frame comes first is a matter of time.
        style, self._text, self._frames, self._times = (
            random.Random(f"{seed} {self.session} {cause}")
            for cause in ("style", "text", "frames", "times")
        )
        self._cut = style.choice(list(_Cut))
        self._pace = style.choice(list(_Pace))
        self._id = style.choice((_as_given, _hex, _ulid, _prefixed))
        self._acknowledges = style.random() < 0.5
        self._empty = style.choice((0.0, 0.2, 0.6))  # share of partials, and of audio
        self._novel = style.choice((0.0, 0.05, 0.3))  # share of frames
        self._novelty = style.choice(_NOVELTIES)
        self._extras = style.sample(sorted(_EXTRAS), style.randint(0, 3))
        self._wording = style.randint(0, 2)
        self._prompt = style.choice((None, 1, 2, 4))  # times what was given; None: same
        self._completion = style.randint(1, 3)
        self._sent = 0
        self._begun = 0
        self._open = self._hearing = False
        self._reset()

    def delay(self, seconds: float) -> float:
        """How long after its audio the next word is said, where it is to be this."""
        match self._pace:
            case _Pace.EARLY:
                return 0.0
            case _Pace.EVEN:
                return seconds
            case _Pace.LATE:
                return seconds + self._times.uniform(0, LATER)

    def open(self, session: str, created: int) -> Iterable[str]:
        return self._dressed(self._server.open(self._id(session), created))

    def hear(self, frame: str | bytes) -> Reaction:
        reaction = self._server.hear(frame)
        replies = [self._worded(reply) for reply in reaction.replies]
        if self._acknowledges and _sets_up(frame) and not any(map(is_error, replies)):
            replies.append('{"type":"session.updated"}')
        if reaction.begin:
            self._begun += 1
            self._open = self._hearing = True
            self._reset()
        if reaction.finish:
            self._hearing = False
        if reaction.audio and self._hearing and self._chance(self._empty):
            replies.extend(self._server.partial("", self._begun - 1))
        replies = list(self._dressed(replies))
        if self._chance(self._novel):
            replies.append(self._novel_event())
        return replace(reaction, replies=replies)

    def partial(self, added: str, item: int) -> Iterable[str]:
        if not self._open:
            return self._server.partial(added, item)
        self._told += added
        changed = re.sub(r"\S+", self._word, added)
        self._said += changed
        self._waiting += changed
        return self._partials(self._ripe(), item)

    def final(self, text: str, usage: Usage, item: int) -> Iterable[str]:
        pieces = self._pieces(self._waiting)
        # What does not add up was not meant to.
        said = self._said if self._told == text else text
        self._open = False
        self._reset()
        final = self._server.final(said, self._counted(usage), item)
        return [*self._partials(pieces, item), *self._dressed(final)]

    # Text

    def _reset(self) -> None:
        self._told = ""  # what was given
        self._said = ""  # what is said for it
        self._waiting = ""  # the part of it that is yet to be sent
        self._few = self._text.randint(2, 4)
        self._place = 0

    def _word(self, match: re.Match[str]) -> str:
        word = match[0]
        self._place += 1
        place = (self._place, word)
        others = [other for other in _OTHERS if other != word]
        other = self._text.choice(others)
        changes = self._text.random() < CHANGED
        if place in self._world.changed:
            self._world.changed.remove(place)
            return word
        # In other scripts a word may be a whole sentence.
        if not changes or not (word.isascii() and word.isalpha()):
            return word
        self._world.changed.add(place)
        return other

    def _ripe(self) -> list[str]:
        """What is sent now of what waits."""
        text = self._waiting
        match self._cut:
            case _Cut.SEVERAL if len(text.split()) < self._few:
                return []
            case _Cut.INSIDE:
                places = [place for place in _places(text) if place > 1]
                end = self._text.choice([*places, len(text)])
            case _:
                end = len(text)
        self._few = self._text.randint(2, 4)
        self._waiting = text[end:]
        return self._pieces(text[:end])

    def _pieces(self, text: str) -> list[str]:
        if not text:
            return []
        if self._cut is not _Cut.FINE:
            return [text]
        chosen = [place for place in _places(text) if self._text.random() < 0.4]
        ends = [*chosen, len(text)]
        return [text[a:b] for a, b in zip([0, *chosen], ends, strict=True)]

    def _partials(self, pieces: Iterable[str], item: int) -> list[str]:
        frames: list[str] = []
        for piece in pieces:
            if self._text.random() < self._empty:
                frames.extend(self._dressed(self._server.partial("", item)))
            frames.extend(self._dressed(self._server.partial(piece, item)))
            if self._text.random() < self._novel:
                frames.append(self._novel_event())
        return frames

    # Frames

    def _counted(self, usage: Usage) -> Usage:
        prompt, completion = usage.prompt, usage.completion
        if prompt is not None and prompt >= 0:
            # One that counts only the first of its prompts has the same each time.
            prompt = 39 if self._prompt is None else prompt * self._prompt
        if completion is not None:
            completion *= self._completion
        return Usage(prompt, completion, None)

    def _worded(self, frame: str) -> str:
        if not is_error(frame) or not self._wording:
            return frame
        content = event(frame)
        inner = content.get("error")
        code = (inner if isinstance(inner, dict) else content).get("code")
        wordings = _WORDINGS.get(str(code))
        if wordings is None:
            return frame
        return error_edited(frame, message=wordings[self._wording - 1])

    def _dressed(self, frames: Iterable[str]) -> Iterator[str]:
        """The frames with fields that the protocol does not know."""
        for frame in frames:
            self._sent += 1
            yield edited(frame, self._add) if self._extras else frame

    def _add(self, content: Event) -> None:
        for name in self._extras:
            content.setdefault(name, _EXTRAS[name](self._sent))
        counted = content.get("usage")
        if isinstance(counted, dict):
            counted.setdefault("prompt_tokens_details", None)

    def _novel_event(self) -> str:
        self._sent += 1
        content = {"type": self._novelty, "number": self._sent}
        return msgspec.json.encode(content).decode()

    def _chance(self, share: float) -> bool:
        return self._frames.random() < share


def _sets_up(frame: str | bytes) -> bool:
    """Whether the client sets the session up with this; it may be refused."""
    return len(frame) < _SHORT and event(frame).get("type") == "session.update"


def _places(text: str) -> list[int]:
    """Where text may be cut: never between a character and what belongs to it."""
    return [place for place in range(1, len(text)) if not _joined(text, place)]


def _joined(text: str, place: int) -> bool:
    before, after = text[place - 1], text[place]
    return (
        unicodedata.category(after).startswith("M")
        or unicodedata.combining(before) == 9  # a virama joins two consonants
        or _JOINER in (before, after)
        or "\U0001f3fb" <= after <= "\U0001f3ff"  # the skin of an emoji
        or all("\U0001f1e6" <= letter <= "\U0001f1ff" for letter in (before, after))
        or all("\u1100" <= letter <= "\u11ff" for letter in (before, after))
    )


def _as_given(session: str) -> str:
    return session


def _hex(session: str) -> str:
    number = _number(session)
    return session if number is None else f"{number:032x}"


def _ulid(session: str) -> str:
    number = _number(session)
    if number is None:
        return session
    return "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))


def _prefixed(session: str) -> str:
    number = _number(session)
    return session if number is None else f"rt_{number % 2**96:024x}"


def _number(session: str) -> int | None:
    """The number of the UUID in an id; ``None`` where it holds none."""
    try:
        return UUID(session.removeprefix("sess-")).int
    except ValueError:
        return None

"""Legal variation: the fake server varies everything that a correct server may vary.

Each session has its own style. A seed and the number of the session determine the
style, so that runs can be repeated. The style decides:

* where the text is divided into partials, and when the partials are sent,
* the form of the ids, the wording of errors and the counts of the usage,
* which fields and events outside the protocol are added,
* whether a session update is answered if the protocol does not require an answer.

In a dialect in which several utterances may be open, the style also decides:

* whether the whole text is sent just before its final,
* whether the event that adds an item to the conversation is left out,
* whether a final may come after the final of a later utterance, if the finals name
  their utterances.

A server that numbers its events never holds back the whole text, and always sends the
finals in order. A check that reports any of these variations as a violation is too
strict.

Rarely, a word of the text is replaced by another word. Real servers compute several
sessions in one batch. Rounding in a batch may decide between two words that are about
equally likely, so a correct server does not always give the same text. If one session
has replaced a word, the next session with this word at the same position does not
replace it. Two successive texts therefore never have the same change.
"""

from __future__ import annotations

import enum
import random
import re
import unicodedata
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from pytest_realtime_asr.dialects import Reaction, Server
from pytest_realtime_asr.fake.frame_edits import (
    Event,
    edited,
    encoded,
    error_edited,
    event,
    is_error,
)
from pytest_realtime_asr.fake.server_state import ServerState
from pytest_realtime_asr.fake.server_wrappers import ServerWrapper
from pytest_realtime_asr.trace.records import Frame
from pytest_realtime_asr.trace.timeline import Usage

CHANGED = 1 / 200  # the share of words that are replaced
LATER = 0.2  # s, the longest additional delay of a word with the pace LATE

_OTHERS = ("the", "a", "and", "one", "there", "that", "it")
_NOVELTIES = ("server.heartbeat", "queue.position", "debug.trace", "ping")
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
_LONGEST_UPDATE = 10_000  # characters; a longer frame carries audio


class _Cut(enum.Enum):
    """The places at which a session divides the text into partials."""

    WORDS = "after each word"
    SEVERAL = "after a few words"
    INSIDE = "within a word; the rest of the word comes with the next word"
    FINE = "after every few characters"


class _Pace(enum.Enum):
    """The time at which a session sends a word."""

    EARLY = "as soon as it is recognised"
    EVEN = "after the configured delay"
    LATE = "after the configured delay and a random delay"


@dataclass(slots=True)
class _Utterance:
    """The text of an open utterance.

    With `_Cut.SEVERAL`, each partial adds at least ``few`` words.
    """

    few: int
    recognised: str = ""
    changed: str = ""  # the same text with some words replaced
    unsent: str = ""  # the end of ``changed`` that was not sent yet
    words: int = 0
    whole: bool = False  # whether all text is sent just before the final
    complete: bool = False  # whether the client completed the audio


class VariedServer(ServerWrapper):
    """The server side of a session with its own style of legal variation.

    ``typed`` says whether the events of the protocol have types. If they have none, a
    client must count the events to know what each means. The server then adds no events
    and keeps the order of the finals. It also divides the text only between words,
    since a result may settle the text at any time.
    """

    def __init__(
        self, server: Server, state: ServerState, seed: int, *, typed: bool = True
    ) -> None:
        super().__init__(server, state)
        # One random generator per cause, because the order of frames depends on timing.
        style, self._text, self._frames, self._times = (
            random.Random(f"{seed} {self.session} {cause}")
            for cause in ("style", "text", "frames", "times")
        )
        self._cut = style.choice(list(_Cut) if typed else [_Cut.WORDS, _Cut.SEVERAL])
        self._pace = style.choice(list(_Pace))
        self._id = style.choice((_as_given, _hex, _ulid, _prefixed))
        self._acknowledges = style.random() < 0.5
        # The share of partials, and of frames of audio, that get an empty partial.
        self._empty = style.choice((0.0, 0.2, 0.6))
        # Unknown events per frame.
        self._novel = style.choice((0.0, 0.05, 0.3)) if typed else 0.0
        self._novelty = style.choice(_NOVELTIES)
        self._extras = style.sample(sorted(_EXTRAS), style.randint(0, 3))
        self._wording = style.randint(0, 2)
        self._prompt = style.choice((None, 1, 2, 4))  # factor; None: a constant count
        self._completion = style.randint(1, 3)
        self._sent = 0
        self._begun = 0
        self._open: dict[int, _Utterance] = {}
        self._name = style.choice((None, "msg", "itm"))
        self._adds = style.random() < 0.7  # whether items are added
        self._whole = style.choice((0.0, 0.0, 0.5, 1.0))  # share of texts sent whole
        self._reorders = style.random() < 0.5 and typed
        # Frames of finals that wait, by the utterance whose final must come first.
        self._late: dict[int, list[Frame]] = {}

    def delay(self, seconds: float) -> float:
        """Return the delay in s of the next word; ``seconds`` is the configured one."""
        match self._pace:
            case _Pace.EARLY:
                return 0.0
            case _Pace.EVEN:
                return seconds
            case _Pace.LATE:
                return seconds + self._times.uniform(0, LATER)

    def open(self, session: str, created: int) -> Iterable[Frame]:
        frames = list(self._server.open(self._id(session), created))
        if any("event_index" in event(frame) for frame in frames):
            self._whole, self._reorders = 0.0, False
        return self._decorated(frames)

    def hear(self, frame: Frame) -> Reaction:
        reaction = self._server.hear(frame)
        replies = [self._worded(reply) for reply in reaction.replies]
        if self._acknowledges and _is_update(frame) and not replies:
            replies.append('{"type":"session.updated"}')
        if reaction.begin:
            # If audio begins an utterance, the text may wait for the commit.
            whole = bool(reaction.audio) and self._chance(self._whole)
            few = self._text.randint(2, 4)
            self._open[self._begun] = _Utterance(few, whole=whole)
            self._begun += 1
        last = self._begun - 1
        hearing = last in self._open and not self._open[last].complete
        if reaction.drop and hearing:
            del self._open[last]
        elif hearing and reaction.finish:
            self._open[last].complete = True
        elif hearing and reaction.audio and self._chance(self._empty):
            replies.extend(self._server.partial("", last))
        replies = list(self._decorated(replies))
        if self._chance(self._novel):
            replies.append(self._novel_event())
        return replace(reaction, replies=replies)

    def partial(self, added: str, item: int) -> Iterable[Frame]:
        utterance = self._open.get(item)
        if utterance is None:
            return self._server.partial(added, item)
        utterance.recognised += added
        changed = re.sub(r"\S+", lambda match: self._word(match[0], utterance), added)
        utterance.changed += changed
        utterance.unsent += changed
        return self._partials(self._ready(utterance), item)

    def final(self, text: str, usage: Usage, item: int) -> Iterable[Frame]:
        utterance = self._open.pop(item, None)
        pieces: list[str] = []
        if utterance is not None:
            pieces = (
                [utterance.unsent]
                if utterance.whole
                else self._pieces(utterance.unsent)
            )
            # If the text is not the recognised text, a fault changed it: keep the text.
            text = utterance.changed if utterance.recognised == text else text
        frames = self._partials(filter(None, pieces), item)
        frames.extend(
            self._decorated(self._server.final(text, self._counted(usage), item))
        )
        frames += self._late.pop(item, [])
        # The final may wait for the final of a later utterance with complete audio.
        later = [number for number, other in self._open.items() if other.complete]
        if self._reorders and later and _names_item(frames) and self._chance(0.5):
            self._late.setdefault(self._frames.choice(later), []).extend(frames)
            return ()
        return frames

    # Text

    def _word(self, word: str, utterance: _Utterance) -> str:
        utterance.words += 1
        place = (utterance.words, word)
        others = [other for other in _OTHERS if other != word]
        other = self._text.choice(others)
        changes = self._text.random() < CHANGED
        if place in self._state.changed_words:
            self._state.changed_words.remove(place)
            return word
        # In a writing system without spaces, a word may be a whole sentence.
        if not changes or not (word.isascii() and word.isalpha()):
            return word
        self._state.changed_words.add(place)
        return other

    def _ready(self, utterance: _Utterance) -> list[str]:
        """Return the pieces of text that are sent now, one for each partial."""
        text = utterance.unsent
        if utterance.whole:
            return []
        match self._cut:
            case _Cut.SEVERAL if len(text.split()) < utterance.few:
                return []
            case _Cut.INSIDE:
                places = [place for place in _places(text) if place > 1]
                end = self._text.choice([*places, len(text)])
            case _:
                end = len(text)
        utterance.few = self._text.randint(2, 4)
        utterance.unsent = text[end:]
        return self._pieces(text[:end])

    def _pieces(self, text: str) -> list[str]:
        if not text:
            return []
        if self._cut is not _Cut.FINE:
            return [text]
        chosen = [place for place in _places(text) if self._text.random() < 0.4]
        ends = [*chosen, len(text)]
        return [text[a:b] for a, b in zip([0, *chosen], ends, strict=True)]

    def _partials(self, pieces: Iterable[str], item: int) -> list[Frame]:
        frames: list[Frame] = []
        for piece in pieces:
            adds_empty = self._text.random() < self._empty
            # The server may number the events in the order of these calls.
            empty = list(self._server.partial("", item)) if adds_empty else []
            partial = list(self._server.partial(piece, item))
            if adds_empty:
                frames.extend(self._decorated(empty or map(_emptied, partial)))
            frames.extend(self._decorated(partial))
            if self._text.random() < self._novel:
                frames.append(self._novel_event())
        return frames

    # Frames

    def _counted(self, usage: Usage) -> Usage:
        prompt, completion = usage.prompt, usage.completion
        if prompt is not None and prompt >= 0:
            # A server that counts only the first chunk's prompt has a constant count.
            prompt = 39 if self._prompt is None else prompt * self._prompt
        if completion is not None:
            completion *= self._completion
        return Usage(prompt, completion, None, usage.seconds)

    def _worded(self, frame: Frame) -> Frame:
        if not is_error(frame) or not self._wording:
            return frame
        content = event(frame)
        inner = content.get("error")
        code = (inner if isinstance(inner, dict) else content).get("code")
        wordings = _WORDINGS.get(str(code))
        if wordings is None:
            return frame
        return error_edited(frame, message=wordings[self._wording - 1])

    def _decorated(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Yield the frames with new ids, and with fields outside the protocol.

        Events that add an item are left out if the session's style says so.
        """
        for frame in frames:
            self._sent += 1
            if not self._adds and "item" in event(frame):
                continue
            yield edited(frame, self._add)

    def _add(self, content: Event) -> None:
        for name in ("event_id", "item_id", "previous_item_id"):
            self._rename(content, name)
        if isinstance(content.get("item"), dict):
            self._rename(content["item"], "id")
        for name in self._extras:
            content.setdefault(name, _EXTRAS[name](self._sent))
        counted = content.get("usage")
        if isinstance(counted, dict):
            counted.setdefault("prompt_tokens_details", None)

    def _rename(self, content: Event, name: str) -> None:
        """Replace the id in the field ``name``; equal ids get the same replacement."""
        before = content.get(name)
        if self._name is not None and isinstance(before, str):
            content[name] = (
                f"{self._name}_{zlib.crc32(before.encode()):08x}{before[-1]}"
            )

    def _novel_event(self) -> Frame:
        self._sent += 1
        return encoded({"type": self._novelty, "number": self._sent})

    def _chance(self, share: float) -> bool:
        return self._frames.random() < share


def _emptied(frame: Frame) -> Frame:
    """Return a copy of a partial, with an empty text and a new event id."""

    def change(content: Event) -> None:
        content["delta"] = ""
        content["event_id"] = f"{content.get('event_id', '')}_empty"
        content.pop("logprobs", None)

    return edited(frame, change)


def _names_item(frames: Iterable[Frame]) -> bool:
    """Return whether any of these frames has the id of its utterance."""
    return any("item_id" in event(frame) for frame in frames)


def _is_update(frame: Frame) -> bool:
    """Return whether a frame is a session update, valid or not."""
    return len(frame) < _LONGEST_UPDATE and event(frame).get("type") == "session.update"


def _places(text: str) -> list[int]:
    """Return the positions between two graphemes, at which the text may be cut."""
    return [place for place in range(1, len(text)) if not _joined(text, place)]


def _joined(text: str, place: int) -> bool:
    before, after = text[place - 1], text[place]
    return (
        unicodedata.category(after).startswith("M")
        or unicodedata.combining(before) == 9  # a virama joins two consonants
        or _JOINER in (before, after)
        or "\U0001f3fb" <= after <= "\U0001f3ff"  # a skin tone of an emoji
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
    """Return the UUID in a session id as a number, or ``None`` if it has no UUID."""
    try:
        return UUID(session.removeprefix("sess-")).int
    except ValueError:
        return None

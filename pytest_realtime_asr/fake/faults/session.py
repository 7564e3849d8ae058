"""What can be wrong with a server, each in one way.

Most faults wrap the server's half of a dialect, so that every dialect has every fault,
and each check can be shown to trip on the one it is for. The others are of the network
or of the whole process: the server asks whether it has them. Of several faults the
later wraps the one before.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from pytest_realtime_asr.dialects import Reaction, Server
from pytest_realtime_asr.fake.faults import audio, items
from pytest_realtime_asr.fake.faults.audio import losing, withholding
from pytest_realtime_asr.fake.faults.items import changing, dropping, of_errors
from pytest_realtime_asr.fake.server_wrappers import (
    Event,
    ServerState,
    ServerWrapper,
    UtteranceTracker,
    WordChanger,
    Wrap,
    edited,
    error_edited,
    event,
    is_error,
)
from pytest_realtime_asr.trace.timeline import Usage

TRACEBACK = """Traceback (most recent call last):
  File "/srv/asr/connection.py", line 112, in handle_event
    await self.engine.append(event["audio"])
  File "/srv/asr/engine.py", line 48, in append
    raise ValueError("buffer size must be a multiple of element size")
ValueError: buffer size must be a multiple of element size
"""
_SHORT = 1000  # characters; longer frames carry audio
_DEEP = 1000  # levels of JSON
_BIG = 4 * 2**20  # bytes of a text frame
_SURROGATE = re.compile("[\ud800-\udfff]")
_MARKER = "language English<asr_text>"
_ANSWERS = {"error", "session.updated"}
_UNKNOWN = '{"type":"no.such.event"}'  # which every dialect refuses


class _Mute(ServerWrapper):
    def open(self, session: str, created: int) -> Iterable[str]:
        return ()

    def hear(self, frame: str | bytes) -> Reaction:
        return Reaction()


class _Nameless(ServerWrapper):
    def open(self, session: str, created: int) -> Iterable[str]:
        return self._server.open("", created)


class _Twice(ServerWrapper):
    def open(self, session: str, created: int) -> Iterable[str]:
        yield from self._server.open(session, created)
        yield from self._server.open(session, created)


class _Tolerant(ServerWrapper):
    """Ignores what it should refuse."""

    def hear(self, frame: str | bytes) -> Reaction:
        reaction = self._server.hear(frame)
        replies = [reply for reply in reaction.replies if not is_error(reply)]
        return replace(reaction, replies=replies)


class _Lossy(ServerWrapper):
    """Loses the first piece of text of each utterance on its way out."""

    _lost = False

    def partial(self, added: str, item: int) -> Iterable[str]:
        if self._lost:
            return self._server.partial(added, item)
        self._lost = True
        return ()

    def final(self, text: str, usage: Usage, item: int) -> Iterable[str]:
        self._lost = False
        return self._server.final(text, usage, item)


class _Doubled(ServerWrapper):
    def final(self, text: str, usage: Usage, item: int) -> Iterable[str]:
        frames = tuple(self._server.final(text, usage, item))
        return frames + frames


class _Endless(ServerWrapper):
    def final(self, text: str, usage: Usage, item: int) -> Iterable[str]:
        return ()


class _Late(ServerWrapper):
    """Goes on with the text after it was said to be final."""

    def final(self, text: str, usage: Usage, item: int) -> Iterable[str]:
        yield from self._server.final(text, usage, item)
        yield from self._server.partial(" again", item)


class _Greedy(ServerWrapper):
    """Counts tokens that it did not speak."""

    def final(self, text: str, usage: Usage, item: int) -> Iterable[str]:
        spent = replace(usage, prompt=-1, seconds=-1.0)
        return self._server.final(text, spent, item)


class _Echo(ServerWrapper):
    """Begins each text with that of the utterance before."""

    _before = ""
    _said = False

    def partial(self, added: str, item: int) -> Iterable[str]:
        if self._before and not self._said:
            self._said = True
            added = f"{self._before} {added}"
        return self._server.partial(added, item)

    def final(self, text: str, usage: Usage, item: int) -> Iterable[str]:
        whole = f"{self._before} {text}" if self._said else text
        self._before, self._said = text, False
        return self._server.final(whole, usage, item)


class _Babble(ServerWrapper):
    """Sends what is no JSON with each piece of text."""

    def partial(self, added: str, item: int) -> Iterable[str]:
        yield "this is {no JSON"
        yield from self._server.partial(added, item)


class _Novel(ServerWrapper):
    """Sends an event that no protocol knows, by a name of theirs, with each text."""

    def partial(self, added: str, item: int) -> Iterable[str]:
        yield '{"type":"session.novelty"}'
        yield from self._server.partial(added, item)


class _Flood(ServerWrapper):
    """Answers the first audio with more text than anyone can want."""

    def hear(self, frame: str | bytes) -> Reaction:
        reaction = self._server.hear(frame)
        return replace(reaction, replies=self._pour()) if reaction.audio else reaction

    def _pour(self) -> Iterator[str]:
        for _ in range(20_000):
            yield from self._server.partial("and ", 0)


class _OnAudio(ServerWrapper):
    """Does something of its own when the fifth frame of audio has come."""

    def __init__(self, server: Server, world: ServerState, **change: object) -> None:
        super().__init__(server, world)
        self._change = change
        self._frames = 0

    def hear(self, frame: str | bytes) -> Reaction:
        reaction = self._server.hear(frame)
        self._frames += bool(reaction.audio)
        if reaction.audio and self._frames == 5:
            return replace(reaction, **self._change)  # type: ignore[arg-type]
        return reaction


class _ClosesOnBinary(ServerWrapper):
    def hear(self, frame: str | bytes) -> Reaction:
        if isinstance(frame, bytes):
            return Reaction(close=1011)
        return self._server.hear(frame)


class _ClosesOnError(ServerWrapper):
    def hear(self, frame: str | bytes) -> Reaction:
        reaction = self._server.hear(frame)
        replies = tuple(reaction.replies)
        close = 1011 if any(map(is_error, replies)) else reaction.close
        return replace(reaction, replies=replies, close=close)


class _Errors(ServerWrapper):
    """Says another thing in each of its errors."""

    def __init__(self, server: Server, world: ServerState, **fields: object) -> None:
        super().__init__(server, world)
        self._fields = fields

    def hear(self, frame: str | bytes) -> Reaction:
        reaction = self._server.hear(frame)
        replies = [error_edited(reply, **self._fields) for reply in reaction.replies]
        return replace(reaction, replies=replies)


class _AnyModel(ServerWrapper):
    """Takes whatever model is named for its own."""

    def hear(self, frame: str | bytes) -> Reaction:
        named = event(frame).get("model")
        if isinstance(frame, str) and isinstance(named, str):
            frame = edited(frame, self._own)
        return self._server.hear(frame)

    def _own(self, content: Event) -> None:
        content["model"] = self._world.models[0]


class _OneUpdate(ServerWrapper):
    """Closes where it is set up for a second time."""

    _done = False

    def hear(self, frame: str | bytes) -> Reaction:
        if not _sets_up(frame, self._world):
            return self._server.hear(frame)
        if self._done:
            return Reaction(close=1008)
        reaction = self._server.hear(frame)
        replies = tuple(reaction.replies)
        self._done = not any(map(is_error, replies))
        return replace(reaction, replies=replies)


class _StrictFields(ServerWrapper):
    """Refuses a set-up with fields that are not of the protocol."""

    def hear(self, frame: str | bytes) -> Reaction:
        own = {name for each in self._world.configure() for name in event(each)}
        if _sets_up(frame, self._world) and set(event(frame)) - own:
            return self._server.hear(_UNKNOWN)
        return self._server.hear(frame)


class _NoEarlyAudio(ServerWrapper):
    """Refuses audio before the set-up."""

    _done = False

    def hear(self, frame: str | bytes) -> Reaction:
        self._done |= _sets_up(frame, self._world)
        if not self._done and self._world.audio(frame):
            return self._server.hear(_UNKNOWN)
        return self._server.hear(frame)


class _AnswersStray(UtteranceTracker):
    """Refuses a begin or an end that comes out of turn, which it should ignore."""

    def hear(self, frame: str | bytes) -> Reaction:
        reaction = super().hear(frame)
        ignored = _ignored(reaction, frame)
        if ignored and (self._world.begins(frame) or self._world.finishes(frame)):
            return self._server.hear(_UNKNOWN)
        return reaction


class _Echoing(ServerWrapper):
    """Repeats in its errors what it was sent."""

    def hear(self, frame: str | bytes) -> Reaction:
        reaction = self._server.hear(frame)
        said = f"cannot use {frame[:_SHORT]!r}"
        replies = [error_edited(reply, message=said) for reply in reaction.replies]
        return replace(reaction, replies=replies)


class _ShowsKey(ServerWrapper):
    """Tells in its errors by which key it was asked."""

    def hear(self, frame: str | bytes) -> Reaction:
        reaction = self._server.hear(frame)
        said = f"not allowed with the key {self._world.key}"
        replies = [error_edited(reply, message=said) for reply in reaction.replies]
        return replace(reaction, replies=replies)


class _StartsAnyway(ServerWrapper):
    """Refuses an early begin, as it should, and does it all the same.

    It answers as a sound machine would, and acts as one that was set up at the start.
    """

    def __init__(self, server: Server, world: ServerState) -> None:
        super().__init__(server, world)
        self._sound = world.fresh()
        for frame in world.configure():
            server.hear(frame)

    def hear(self, frame: str | bytes) -> Reaction:
        replies = self._sound.hear(frame).replies
        return replace(self._server.hear(frame), replies=replies)

    def final(self, text: str, usage: Usage, item: int) -> Iterable[str]:
        tuple(self._sound.final(text, usage, item))
        return self._server.final(text, usage, item)


class _SameId(ServerWrapper):
    def open(self, session: str, created: int) -> Iterable[str]:
        return self._server.open("sess-1", created)


class _OldClock(ServerWrapper):
    def open(self, session: str, created: int) -> Iterable[str]:
        return self._server.open(session, 0)


class _Acknowledging(ServerWrapper):
    """Answers a set-up that it accepts, as newer servers do."""

    def hear(self, frame: str | bytes) -> Reaction:
        reaction = self._server.hear(frame)
        replies = tuple(reaction.replies)
        kinds = {event(reply).get("type") for reply in replies}
        if event(frame).get("type") != "session.update" or kinds & _ANSWERS:
            return reaction
        return replace(reaction, replies=(*replies, '{"type":"session.updated"}'))


class _Early(WordChanger):
    """Says a word before it has heard anything."""

    def hear(self, frame: str | bytes) -> Reaction:
        reaction = super().hear(frame)
        if not reaction.begin:
            return reaction
        return replace(
            reaction, replies=[*reaction.replies, *self.say("so", self.number - 1)]
        )


class _DotFirst(WordChanger):
    """Sends a dot as text at the first audio of each utterance."""

    def hear(self, frame: str | bytes) -> Reaction:
        reaction = super().hear(frame)
        if self.said or not (reaction.audio and self.begun):
            return reaction
        return replace(
            reaction, replies=[*reaction.replies, *self.say(".", self.number - 1)]
        )


class _FinalFirst(UtteranceTracker):
    """Sends a final at the first audio of each utterance, and nothing after it."""

    def hear(self, frame: str | bytes) -> Reaction:
        reaction = super().hear(frame)
        if not (reaction.audio and self.begun):
            return reaction
        final = super().final("so", Usage(1, 1, seconds=0.1), self.number - 1)
        return replace(reaction, replies=[*reaction.replies, *final])

    def partial(self, added: str, item: int) -> Iterable[str]:
        return self._server.partial(added, item) if self.begun else ()

    def final(self, text: str, usage: Usage, item: int) -> Iterable[str]:
        return super().final(text, usage, item) if self.begun else ()


class _TokensShown(WordChanger):
    def words(self, word: str) -> Iterable[str]:
        return (word if self.said else f"{_MARKER}{word}",)


class _Broken(WordChanger):
    def words(self, word: str) -> Iterable[str]:
        return (word if self.said else f"\ufffd{word[1:]}",)


class _NoUsage(ServerWrapper):
    def final(self, text: str, usage: Usage, item: int) -> Iterable[str]:
        frames = self._server.final(text, usage, item)
        return [edited(frame, _without_usage) for frame in frames]


def _without_usage(content: Event) -> None:
    content.pop("usage", None)


class _Free(ServerWrapper):
    def final(self, text: str, usage: Usage, item: int) -> Iterable[str]:
        free = replace(usage, completion=0, seconds=0.0)
        return self._server.final(text, free, item)


class _AtEnd(ServerWrapper):
    """Says nothing before the final, and all of the text just before it."""

    def partial(self, added: str, item: int) -> Iterable[str]:
        return ()

    def final(self, text: str, usage: Usage, item: int) -> Iterable[str]:
        partial = self._server.partial(text, item) if text else ()
        return [*partial, *self._server.final(text, usage, item)]


class _Stuttering(WordChanger):
    def rest(self) -> Iterable[str]:
        return 2 * self.said.split()


class _Chatty(WordChanger):
    def rest(self) -> Iterable[str]:
        return () if self.said else ("Thank", "you.")


class _Headless(WordChanger):
    _begun = False

    def reset(self) -> None:
        super().reset()
        self._begun = False

    def words(self, word: str) -> Iterable[str]:
        begun, self._begun = self._begun, True
        return (word,) if begun else ()


class _LaterHeadless(_Headless):
    """Loses the first word, but not in the first utterance of a session."""

    def words(self, word: str) -> Iterable[str]:
        return (word,) if self.number == 1 else super().words(word)


class _Wordless(WordChanger):
    def words(self, word: str) -> Iterable[str]:
        return ()


class _LosesAfterPause(WordChanger):
    """Hears nothing more once no audio has come for a while."""

    def words(self, word: str) -> Iterable[str]:
        return () if audio.paused(self) else (word,)


class _Tailless(WordChanger):
    """Says each word when the next one comes, and so never the last."""

    _held: tuple[str, ...] = ()

    def reset(self) -> None:
        super().reset()
        self._held = ()

    def words(self, word: str) -> Iterable[str]:
        held, self._held = self._held, (word,)
        return held


class _LaterTailless(_Tailless):
    """Loses the last word, but not in the first utterance of a session."""

    def words(self, word: str) -> Iterable[str]:
        return (word,) if self.number == 1 else super().words(word)


class _Stale(UtteranceTracker):
    """Keeps the end of an utterance that has not begun for the next one."""

    _end: str | bytes | None = None

    def hear(self, frame: str | bytes) -> Reaction:
        reaction = super().hear(frame)
        if reaction.begin and self._end is not None:
            end, self._end = self._end, None
            self.heard.finish()
            self._server.hear(end)
            return replace(reaction, finish=True)
        if not self.begun and self._keeps(reaction, frame):
            self._end = frame
        return reaction

    def _keeps(self, reaction: Reaction, frame: str | bytes) -> bool:
        return _ignored(reaction, frame) and self._world.finishes(frame)


class _StaleRefused(_Stale):
    """Keeps the end of an utterance that it has refused as well."""

    def _keeps(self, reaction: Reaction, frame: str | bytes) -> bool:
        return len(frame) <= _SHORT and self._world.finishes(frame)


class _Leftover(UtteranceTracker):
    """Puts audio that came too late in front of what comes next."""

    _kept = b""

    def hear(self, frame: str | bytes) -> Reaction:
        reaction = super().hear(frame)
        if self.begun and self.heard.complete and _ignored(reaction):
            self._kept += self._world.audio(frame)
        elif reaction.audio and self._kept:
            kept, self._kept = self._kept, b""
            return replace(reaction, audio=kept + reaction.audio)
        return reaction


class _Restarting(UtteranceTracker):
    """Begins anew in mid-utterance; what it had said stays said."""

    def hear(self, frame: str | bytes) -> Reaction:
        reaction = super().hear(frame)
        hearing = self.begun and not self.heard.complete
        if hearing and _ignored(reaction, frame) and self._world.begins(frame):
            return replace(reaction, begin=True)
        return reaction


class _Forgetful(ServerWrapper):
    """After each utterance it wants to be set up again.

    What a machine that was not set up refuses never comes to the one that acts.
    """

    def __init__(self, server: Server, world: ServerState) -> None:
        super().__init__(server, world)
        self._sound = world.fresh()

    def hear(self, frame: str | bytes) -> Reaction:
        refusals = tuple(self._sound.hear(frame).replies)
        return Reaction(refusals) if refusals else self._server.hear(frame)

    def final(self, text: str, usage: Usage, item: int) -> Iterable[str]:
        self._sound = self._world.fresh()
        return self._server.final(text, usage, item)


class _Fragile(UtteranceTracker):
    """An invalid piece of audio ends the utterance, which then has no final."""

    _lost = False

    def hear(self, frame: str | bytes) -> Reaction:
        reaction = super().hear(frame)
        if reaction.begin:
            self._lost = False
        replies = tuple(reaction.replies)
        if self.begun and any(map(is_error, replies)) and _is_append(frame):
            self._lost, self.begun = True, False
            tuple(self._server.final("", Usage(), self.number - 1))
        return replace(reaction, replies=replies)

    def partial(self, added: str, item: int) -> Iterable[str]:
        return () if self._lost else self._server.partial(added, item)


class _Repeating(WordChanger):
    """Says in the second utterance of a session what it said in the first."""

    def __init__(self, server: Server, world: ServerState) -> None:
        super().__init__(server, world)
        self._first: list[str] = []

    def words(self, word: str) -> Iterable[str]:
        if self.number == 1:
            self._first.append(word)
        return self._first_words(1) if self.number == 2 else (word,)

    def rest(self) -> Iterable[str]:
        return self._first_words(len(self._first)) if self.number == 2 else ()

    def _first_words(self, most: int) -> Iterable[str]:
        said = len(self.said.split())
        return self._first[said : said + most]


class _DiesOfBig(ServerWrapper):
    def hear(self, frame: str | bytes) -> Reaction:
        if isinstance(frame, str) and len(frame.encode(errors="replace")) > _BIG:
            return Reaction(die=True)
        return self._server.hear(frame)


class _ClosesOnDeep(ServerWrapper):
    def hear(self, frame: str | bytes) -> Reaction:
        if isinstance(frame, str) and _depth(frame) > _DEEP:
            return Reaction(close=1011)
        return self._server.hear(frame)


class _ClosesOnSurrogate(ServerWrapper):
    def hear(self, frame: str | bytes) -> Reaction:
        if isinstance(frame, str) and _has_surrogate(frame):
            return Reaction(close=1011)
        return self._server.hear(frame)


class _Silent(ServerWrapper):
    """Sends neither text nor final while ``_silent`` says so."""

    def partial(self, added: str, item: int) -> Iterable[str]:
        return () if self._silent() else self._server.partial(added, item)

    def final(self, text: str, usage: Usage, item: int) -> Iterable[str]:
        return () if self._silent() else self._server.final(text, usage, item)

    def _silent(self) -> bool:
        raise NotImplementedError


class _StallsOfReset(_Silent):
    def _silent(self) -> bool:
        return self._world.resets > 0


class _StallsOfClose(_Silent):
    def _silent(self) -> bool:
        return self._world.cuts > 0


class _WaitsForAll(_Silent, UtteranceTracker):
    """Says nothing while a session that has begun to speak says nothing for 1 s."""

    def hear(self, frame: str | bytes) -> Reaction:
        reaction = super().hear(frame)
        speaking = self.begun and not self.heard.complete
        if speaking:
            self._world.heard[self.session] = time.monotonic()
        else:
            self._world.heard.pop(self.session, None)
        return reaction

    def _silent(self) -> bool:
        late = time.monotonic() - 1.0
        others = self._world.heard.items()
        return any(at < late for session, at in others if session != self.session)


class _ThirdSilent(_Silent):
    def __init__(self, server: Server, world: ServerState) -> None:
        super().__init__(server, world)
        self._third = len(world.open) == 3

    def _silent(self) -> bool:
        return self._third


class _CrossTalk(UtteranceTracker):
    """An utterance that begins while another is open gets the words of that one."""

    def __init__(self, server: Server, world: ServerState) -> None:
        super().__init__(server, world)
        self._own: list[str] = []
        self._other: list[str] | None = None
        self._said = ""

    def reset(self) -> None:
        texts = self._world.texts
        others = [text for session, text in texts.items() if session != self.session]
        self._other = others[0] if others else None
        self._own = texts[self.session] = []
        self._said = ""

    def partial(self, added: str, item: int) -> Iterable[str]:
        self._own.append(added)
        if self._other is None:
            return self._server.partial(added, item)
        new = "".join(self._other)[len(self._said) :]
        self._said += new
        return self._server.partial(new, item) if new else ()

    def final(self, text: str, usage: Usage, item: int) -> Iterable[str]:
        self._world.texts.pop(self.session, None)
        if self._other is None:
            return super().final(text, usage, item)
        frames = self.partial("", item)
        counted = replace(usage, completion=len(self._said.split()))
        return [*frames, *super().final(self._said, counted, item)]


def _ignored(reaction: Reaction, frame: str | bytes = "") -> bool:
    """Whether a frame, which is not a long one, had no effect and was not refused."""
    if reaction.begin or reaction.audio or reaction.finish or len(frame) > _SHORT:
        return False
    return not any(map(is_error, reaction.replies))


def _is_append(frame: str | bytes) -> bool:
    return str(event(frame).get("type")).endswith("append")


def _depth(text: str) -> int:
    """How deep the brackets of JSON text are nested; those within strings count not."""
    if text.count("[") + text.count("{") <= _DEEP:
        return 0
    depth = deepest = 0
    for bracket in re.findall(r'[\[{\]}]|"(?:[^"\\]|\\.)*"', text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(bracket, 0)
        deepest = max(deepest, depth)
    return deepest


def _has_surrogate(text: str) -> bool:
    """Whether JSON text holds half of a character, escaped."""
    if "\\ud" not in text.lower():
        return False
    try:
        plain = json.dumps(json.loads(text), ensure_ascii=False)
    except (ValueError, RecursionError):
        return False
    return _SURROGATE.search(plain) is not None


@dataclass(frozen=True, slots=True)
class Fault:
    """A way to be broken; ``about`` completes the sentence "a server that ...".

    Without ``wrap`` it is a fault of the network or the process.
    """

    name: str
    about: str
    wrap: Wrap | None = None


def _on_audio(**change: object) -> Wrap:
    return lambda server, world: _OnAudio(server, world, **change)


def _sets_up(frame: str | bytes, world: ServerState) -> bool:
    """Whether this frame is called like one that sets a session up."""
    known = [event(each).get("type") for each in world.configure()]
    return event(frame).get("type") in known


def _errors(**fields: object) -> Wrap:
    return lambda server, world: _Errors(server, world, **fields)


FAULTS: Mapping[str, Fault] = {
    fault.name: fault
    for fault in (
        Fault("mute", "says nothing at all", _Mute),
        Fault("nameless", "gives the session an empty id", _Nameless),
        Fault("created-twice", "creates the session twice", _Twice),
        Fault("tolerant", "ignores what it should refuse", _Tolerant),
        Fault("lost-delta", "loses the first piece of each text", _Lossy),
        Fault("two-finals", "sends each final twice", _Doubled),
        Fault("no-final", "never sends a final", _Endless),
        Fault("late-delta", "goes on after the final", _Late),
        Fault("bad-usage", "counts tokens wrongly", _Greedy),
        Fault("echo", "begins a text with that of the utterance before", _Echo),
        Fault("no-json", "sends text that is no JSON", _Babble),
        Fault("novelty", "sends events that no protocol knows", _Novel),
        Fault("flood", "floods its client with text", _Flood),
        Fault("close", "closes in mid-utterance", _on_audio(close=1011)),
        Fault("reset", "drops the connection in mid-utterance", _on_audio(close=0)),
        Fault("deaf", "stops reading for three seconds", _on_audio(pause=3.0)),
        Fault("die", "dies in mid-utterance", _on_audio(die=True)),
        # What it refuses, and how
        Fault("silent-close", "closes on a binary frame", _ClosesOnBinary),
        Fault("closes-on-error", "closes after each error", _ClosesOnError),
        Fault("stack-trace", "shows its insides", _errors(message=TRACEBACK)),
        Fault("codeless", "gives its errors no code", _errors(code=None)),
        Fault(
            "wrong-codes", "has one code for all errors", _errors(code="server_error")
        ),
        Fault("accepts-any-model", "takes any model", _AnyModel),
        Fault("one-update", "closes at a second set-up", _OneUpdate),
        Fault("strict-fields", "refuses unknown fields", _StrictFields),
        Fault("no-early-audio", "refuses audio before the set-up", _NoEarlyAudio),
        Fault("answers-stray", "refuses what it should ignore", _AnswersStray),
        Fault("echoes", "repeats in errors what it was sent", _Echoing),
        Fault("shows-key", "tells the client's key in errors", _ShowsKey),
        Fault("starts-anyway", "does what it has refused", _StartsAnyway),
        Fault("forgets-model", "forgets its set-up at each final", _Forgetful),
        Fault("refused-audio-ends", "ends an utterance at audio it refuses", _Fragile),
        Fault("deep-dies", "closes on deeply nested JSON", _ClosesOnDeep),
        Fault("surrogate-dies", "closes on half a character", _ClosesOnSurrogate),
        Fault("big-frame-dies", "dies of a text frame over 4 MiB", _DiesOfBig),
        # What it says of the session
        Fault("same-id", "gives all sessions one id", _SameId),
        Fault("old-clock", "creates its sessions in 1970", _OldClock),
        Fault("acknowledges", "answers a set-up that it accepts", _Acknowledging),
        # What it says of an utterance
        Fault("early-text", "speaks before it has heard anything", _Early),
        Fault("dot-first", "says a dot at the first audio", _DotFirst),
        Fault("final-first", "sends the final at the first audio", _FinalFirst),
        Fault("tokens-shown", "shows control tokens in its text", _TokensShown),
        Fault("broken-characters", "breaks a character of each text", _Broken),
        Fault("no-usage", "does not say what it counted", _NoUsage),
        Fault("free-tokens", "counts no tokens for its text", _Free),
        Fault("all-at-end", "says all text at the end", _AtEnd),
        Fault("stutters", "says each text three times", _Stuttering),
        Fault("babbles-in-silence", "has words where there are none", _Chatty),
        Fault("loses-head", "loses the first word", _Headless),
        Fault("loses-tail", "loses the last word", _Tailless),
        Fault("loses-later-heads", "loses first words, but one", _LaterHeadless),
        Fault("loses-later-tails", "loses last words, but one", _LaterTailless),
        Fault("pause-loses", "hears nothing after a pause", _LosesAfterPause),
        Fault("wordless", "has no words for anything", _Wordless),
        Fault("repeats-first", "repeats its first text in the second", _Repeating),
        Fault("forgets-old", "keeps 25 s of an utterance"),
        # Where one utterance touches the next
        Fault("stale-final", "keeps a final commit for the next", _Stale),
        Fault("refused-final-kept", "keeps what it has refused", _StaleRefused),
        Fault("late-audio-kept", "keeps late audio for the next", _Leftover),
        Fault("restarts-on-begin", "begins anew in mid-utterance", _Restarting),
        # What it makes of the audio
        Fault(
            "small-chunks-lose",
            "loses words in chunks under 50 ms",
            losing(audio.small_chunks),
        ),
        Fault(
            "big-chunks-lose",
            "loses words in chunks over 500 ms",
            losing(audio.big_chunks),
        ),
        Fault(
            "100ms-loses",
            "loses words in chunks of 100 ms",
            losing(audio.chunks_of_100ms),
        ),
        Fault("crowd-loses", "loses words in a crowd", losing(audio.crowded)),
        Fault("fast-loses", "loses words of fast audio", losing(audio.fast)),
        Fault("quiet-loses", "loses words of quiet audio", losing(audio.quiet)),
        Fault(
            "silence-loses",
            "loses words after a silence of 1 s",
            losing(audio.late_speech),
        ),
        Fault("again-loses", "loses words but in the first", losing(audio.again)),
        Fault(
            "first-session-loses",
            "loses words in its first session",
            losing(audio.first_session),
        ),
        Fault(
            "no-final-after-1s",
            "has no final for 1 s or more",
            withholding(audio.lasting),
        ),
        Fault(
            "no-final-short",
            "has no final for less than 0.3 s",
            withholding(audio.short),
        ),
        Fault("no-final-empty", "has no final for no audio", withholding(audio.empty)),
        Fault("no-final-long", "has no final for over 20 s", withholding(audio.long)),
        Fault(
            "no-final-after-pause",
            "has no final after 2 s without audio",
            withholding(audio.paused),
        ),
        Fault(
            "no-final-after-silence",
            "has no final after 3 s of zeros",
            withholding(audio.silent),
        ),
        Fault("dies-of-empty", "dies of an utterance without audio", audio.DiesOfEmpty),
        Fault("flood-dies", "dies of 8 MiB of audio without an end", audio.DiesOfFlood),
        Fault(
            "one-final-only",
            "has no final but for the first utterance",
            withholding(audio.again),
        ),
        Fault(
            "turn-loses",
            "loses words of a turn that it has found",
            losing(audio.turned),
        ),
        Fault("one-rate", "takes all audio to be at one rate", items.OneRate),
        Fault("refuses-big", "refuses frames over 4 MiB", items.RefusingBig),
        Fault("odd-audio-closes", "closes on audio it refuses", items.ClosingOnOdd),
        # What it says of its items
        Fault(
            "same-event-ids",
            "has one id for all events",
            changing(items.same_event_ids),
        ),
        Fault("no-event-ids", "gives its events no ids", changing(items.no_event_ids)),
        Fault(
            "other-item-ids", "completes another item", changing(items.other_item_ids)
        ),
        Fault(
            "same-item-ids", "has one id for all items", changing(items.same_item_ids)
        ),
        Fault(
            "unchained", "says of no item which it follows", changing(items.unchained)
        ),
        Fault("displaced", "adds an item in another place", changing(items.displaced)),
        Fault("adds-nothing", "adds no item to the conversation", dropping(items.adds)),
        Fault("silent-commit", "does not answer a commit", dropping(items.commits)),
        Fault("foretells", "has text for no audio", items.Foretelling),
        Fault("cumulative", "sends the text so far as new", items.Cumulative),
        Fault("counts-content", "counts deltas as parts of an item", items.Counting),
        Fault("fails-first", "fails, and completes it then", items.failing_first),
        Fault("no-logprobs", "has no log probabilities", changing(items.no_logprobs)),
        Fault("odd-logprobs", "has positive logarithms", changing(items.odd_logprobs)),
        Fault("mixes-items", "mixes up what is in transcription", items.Mixing),
        # What it says of the session and of errors
        Fault("conversing", "opens a conversation", changing(items.conversing)),
        Fault("silent-update", "does not answer an update", dropping(items.confirms)),
        Fault("unset", "does not show what was set up", changing(items.unset)),
        Fault("forgets-rest", "takes back what is not in an update", items.Forgetting),
        Fault("shows-refused", "shows what it has refused", items.ShowingRefused),
        Fault("confirms-refused", "confirms what it refuses", items.ConfirmingRefused),
        Fault("typeless", "gives its errors no type", of_errors(type="")),
        Fault("causeless", "does not say which event it was", of_errors(event_id=None)),
        Fault("paramless", "does not say which field it was", of_errors(param=None)),
        # Commits, clears and turns
        Fault(
            "acknowledges-empty",
            "takes a commit of nothing, and is silent then",
            items.AcknowledgingEmpty,
        ),
        Fault("babbles-of-empty", "has words for no audio", items.BabblingEmpty),
        Fault("keeps-cleared", "keeps audio that it cleared", items.KeepingCleared),
        Fault("silent-clear", "does not answer a clear", items.IgnoringClear),
        Fault("strict-clear", "refuses to clear nothing", items.StrictClear),
        Fault("endless-speech", "never stops speech", dropping(items.ends_speech)),
        Fault("other-turns", "ends another turn", changing(items.other_turns)),
        Fault("restarts-times", "counts times from each turn", items.Restarting),
        Fault("hears-things", "hears turns in silence", items.HearingThings),
        # What sessions do to each other
        Fault("cross-talk", "mixes two utterances up", _CrossTalk),
        Fault("third-is-silent", "says nothing in a third session", _ThirdSilent),
        Fault("stalls-of-close", "says no more text once one is cut", _StallsOfClose),
        Fault("waits-for-all", "waits for a client that is silent", _WaitsForAll),
        Fault("stalls-of-reset", "says no more text after a reset", _StallsOfReset),
        Fault("slow-reader-stalls", "waits for its slowest client"),
        # The network and the process
        Fault("no-pong", "answers no pings"),
        Fault("no-close-answer", "does not answer a close frame in time"),
        Fault("no-fragments", "closes on a message in fragments"),
        Fault("idle-kills", "closes after 3 s without a frame"),
        Fault("any-size", "takes frames of any size"),
        Fault("any-path", "takes sessions on every path"),
        Fault("any-key", "does not check the key"),
        Fault("crash-page", "shows its insides to a browser"),
        Fault("limits", "answers every second handshake by 429"),
        Fault("leaks", "counts sessions as active for ever"),
        Fault("dies-of-reset", "dies of a reset in mid-utterance"),
        Fault("restarts", "is restarted at a reset"),
    )
}


def wrap(
    server: Server, faults: Iterable[str], world: ServerState | None = None
) -> Server:
    """The server with these faults; ``LookupError`` names the ones there are.

    A few faults need to know the dialect, from the ``world``.
    """
    world = world or ServerState()
    for name in faults:
        if name not in FAULTS:
            known = ", ".join(FAULTS)
            raise LookupError(f"unknown fault {name!r}; there are: {known}")
        around = FAULTS[name].wrap
        if around is not None:
            server = around(server, world)
    return server

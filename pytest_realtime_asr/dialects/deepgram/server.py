"""The server's side of Deepgram's protocol."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pytest_realtime_asr.dialects import Reaction
from pytest_realtime_asr.dialects.deepgram.events import (
    SHAPES,
    Alternative,
    Channel,
    CloseStream,
    Error,
    Finalize,
    KeepAlive,
    Metadata,
    Origin,
    Results,
    SpeechStarted,
    UtteranceEnd,
    Word,
)
from pytest_realtime_asr.dialects.deepgram.options import Listening
from pytest_realtime_asr.dialects.deepgram.profile import Profile
from pytest_realtime_asr.dialects.voice_activity import Detector
from pytest_realtime_asr.trace.json_events import Malformed, Unknown, encode
from pytest_realtime_asr.trace.records import Frame, Sender
from pytest_realtime_asr.trace.timeline import Usage, WordTime

SEGMENT = 4  # words; a segment of more words is settled
MODEL = "4899aa2d"  # the id of the fake server's model
SCHEMA_ERROR = "SchemaError"
_CHANNELS = [0, 1]  # the index of the channel, and the number of channels
_CONFIDENCE = 0.9375
_WORD = re.compile(r"\S+")
_LONGEST = 1000  # characters of a refused frame that an error repeats
_THRESHOLD, _PADDING, _SILENCE = 0.5, 0.0, 0.5  # of the detection of speech; s


@dataclass(slots=True)
class _Utterance:
    """An utterance; its times are in seconds from the start of the session's audio.

    ``settled`` is the number of words of ``text`` that belong to settled segments. The
    open segment begins at the time ``segment``. ``words`` has the words of ``text``
    whose times are known.
    ``end`` is ``None`` until the audio is complete, and ``recognised`` says whether
    ``text`` is complete.
    """

    start: float
    segment: float
    text: str = ""
    words: Sequence[WordTime] = ()
    recognised: bool = False
    settled: int = 0
    end: float | None = None
    closes: bool = False  # whether `CloseStream` completed the audio


class Server:
    """The server's side of a session, whose options are in the query of the URL.

    A result does not name its utterance. So the results of an utterance are sent only
    after the final of the previous utterance.
    """

    def __init__(self, profile: Profile, listening: Listening) -> None:
        self.rate = listening.rate
        self._profile = profile
        self._listening = listening
        self._request_id = ""
        self._created = ""
        self._rest = b""  # the first byte of a sample whose second byte has not come
        self._samples = 0  # of the session's audio so far
        self._utterances: list[_Utterance] = []
        self._unfinished: set[int] = set()  # the utterances without a final
        self._closing = False
        self._last_word: float | None = None  # the end of the last settled word, in s
        self._detector = Detector(
            listening.rate, threshold=_THRESHOLD, padding=_PADDING, silence=_SILENCE
        )

    def open(self, session: str, created: int) -> Iterable[str]:
        self._request_id = session
        self._created = datetime.fromtimestamp(created, UTC).isoformat()
        return (self._metadata(),) if self._profile.greeting else ()

    # The frames of the client

    def hear(self, frame: Frame) -> Reaction:
        if self._closing:
            return Reaction()
        if isinstance(frame, bytes):
            return self._hear_audio(frame) if frame else self._hear_nothing()
        message = SHAPES.read(frame, Sender.CLIENT)
        match message:
            case KeepAlive():
                return Reaction()
            case Finalize() if self._profile.finalizes:
                return Reaction(finish=self._complete())
            case Finalize():
                return self._refuse("Finalize is not supported", frame, close=4400)
            case CloseStream():
                return self._close_stream()
            case Unknown() if not self._profile.refusals:
                return Reaction()
            case Unknown(type=kind):
                kind = str(kind)[:_LONGEST]
                return self._refuse(f"unknown type of message: {kind}", frame)
            case Malformed(reason=reason):
                return self._refuse(reason, frame)
        raise AssertionError(f"no reaction to {message!r}")

    def _hear_audio(self, data: bytes) -> Reaction:
        pcm = self._pcm(data)
        begin = self._open is None
        if begin:
            now = self._now
            self._unfinished.add(len(self._utterances))
            self._utterances.append(_Utterance(now, now))
        self._samples += len(pcm) // 2
        replies = [*self._speech_started(pcm), *self._utterance_end()]
        return Reaction(replies, begin=begin, audio=pcm)

    def _pcm(self, data: bytes) -> bytes:
        """Return the complete samples of the audio so far as PCM16.

        Half a sample is kept until its second byte comes.
        """
        if self._listening.law is not None:
            return self._listening.law.decode(data)
        whole = self._rest + data
        size = len(whole) - len(whole) % 2
        self._rest = whole[size:]
        return whole[:size]

    def _hear_nothing(self) -> Reaction:
        """Return the reaction to a binary frame without data."""
        if self._profile.finalizes:
            return self._close_stream()  # the older form of `CloseStream`
        return self._refuse(
            "an empty binary frame does not end the stream", "", close=4400
        )

    def _close_stream(self) -> Reaction:
        self._closing = True
        finish = self._complete(closes=True)
        replies = () if self._unfinished else (self._metadata(),)
        return Reaction(replies, finish=finish, close=1000, after_finals=True)

    @property
    def _open(self) -> _Utterance | None:
        """The utterance whose audio is not complete yet."""
        last = self._utterances[-1] if self._utterances else None
        return None if last is None or last.end is not None else last

    @property
    def _now(self) -> float:
        """The length of the session's audio so far in seconds."""
        return self._samples / self.rate

    def _complete(self, *, closes: bool = False) -> bool:
        """Complete the open utterance; return whether there was one."""
        hearing = self._open
        if hearing is None:
            return False
        hearing.end, hearing.closes = self._now, closes
        return True

    def _speech_started(self, pcm: bytes) -> Iterable[str]:
        if not self._listening.vad_events:
            return ()
        start = self._detector.detect(pcm).start
        if start is None:
            return ()
        return (encode(SpeechStarted(_CHANNELS, round(start / self.rate, 3))),)

    def _utterance_end(self) -> Iterable[str]:
        """Return `UtteranceEnd` if the gap after the last settled word is long enough.

        It is returned only once for each gap.
        """
        limit, last = self._listening.utterance_end, self._last_word
        if limit is None or last is None or self._now - last < limit:
            return ()
        if any(self._has_open_text(number) for number in self._unfinished):
            return ()
        self._last_word = None
        return (encode(UtteranceEnd(_CHANNELS, round(last, 3))),)

    def _has_open_text(self, number: int) -> bool:
        utterance = self._utterances[number]
        return len(_WORD.findall(utterance.text)) > utterance.settled

    def expire(self) -> Reaction:
        return Reaction(close=1001)

    # The text

    def partial(
        self, added: str, item: int, *, words: Sequence[WordTime] = ()
    ) -> Iterable[str]:
        utterance = self._utterances[item]
        utterance.text += added
        utterance.words = words
        return () if self._waits(item) else self._interim(utterance)

    def _waits(self, item: int) -> bool:
        """Return whether an utterance before ``item`` has no final yet."""
        return item in self._unfinished and item != min(self._unfinished)

    def _interim(self, utterance: _Utterance) -> list[str]:
        frames = list(self._settle(utterance))
        if self._listening.interim_results:
            words, end = self._words(utterance), self._end(utterance)
            frames.append(encode(self._results(utterance, words, end)))
        return frames

    def _end(self, utterance: _Utterance) -> float:
        """Return the time in seconds at which the audio of an utterance ends so far."""
        return self._now if utterance.end is None else utterance.end

    def _settle(self, utterance: _Utterance) -> Iterable[str]:
        """Settle segments until at most `SEGMENT` words are open; yield their results.

        Each of these segments has `SEGMENT` words.
        """
        while len(opened := self._words(utterance)) > SEGMENT:
            segment, following = opened[:SEGMENT], opened[SEGMENT]
            end = max(utterance.segment, segment[-1].end)
            pause = following.start - end
            yield encode(
                self._results(
                    utterance,
                    segment,
                    end,
                    is_final=True,
                    speech_final=self._ends_speech(pause),
                )
            )
            utterance.settled += SEGMENT
            utterance.segment = end
            self._last_word = end

    def final(
        self, text: str, usage: Usage, item: int, *, words: Sequence[WordTime] = ()
    ) -> Iterable[str]:
        utterance = self._utterances[item]
        if utterance.end is None:  # only a faulty server ends it itself
            self._complete()
        utterance.text, utterance.words = text, words
        utterance.recognised = True
        if self._waits(item):
            return
        yield from self._final(item)
        while self._unfinished:
            following = min(self._unfinished)
            if not self._utterances[following].recognised:
                if self._utterances[following].text:
                    yield from self._interim(self._utterances[following])
                break
            yield from self._final(following)

    def _final(self, item: int) -> Iterable[str]:
        """Return the final result of an utterance, and the events that follow it."""
        utterance = self._utterances[item]
        end = self._end(utterance)
        opened = self._words(utterance)
        last = opened[-1].end if opened else utterance.segment
        self._last_word = last if opened else self._last_word
        yield encode(
            self._results(
                utterance,
                opened,
                end,
                is_final=True,
                speech_final=self._ends_speech(end - last),
                from_finalize=not utterance.closes,
            )
        )
        utterance.settled = len(_WORD.findall(utterance.text))
        utterance.segment = end
        self._unfinished.discard(item)
        yield from self._utterance_end()
        if self._closing and not self._unfinished:
            yield self._metadata()

    def _ends_speech(self, pause: float) -> bool:
        limit = self._listening.endpointing
        return limit is not None and pause >= limit

    def _words(self, utterance: _Utterance) -> Sequence[WordTime]:
        """Return the words of the open segment, with times in the session's audio.

        A word without known times starts and ends where the segment begins.
        """
        texts = _WORD.findall(utterance.text)[utterance.settled :]
        timed = utterance.words[utterance.settled :]
        start = utterance.start
        found = [
            WordTime(text, start + word.start, start + word.end)
            for text, word in zip(texts, timed, strict=False)
        ]
        begin = utterance.segment
        return found + [WordTime(text, begin, begin) for text in texts[len(found) :]]

    def _results(
        self,
        utterance: _Utterance,
        words: Sequence[WordTime],
        end: float,
        *,
        is_final: bool = False,
        speech_final: bool = False,
        from_finalize: bool = False,
    ) -> Results:
        begin = utterance.segment
        end = max(begin, end)
        shown = [
            Word(
                re.sub(r"\W+$", "", word.text).lower() or word.text,
                _within(word.start, begin, end),
                _within(word.end, begin, end),
                _CONFIDENCE,
                word.text,
            )
            for word in words
        ]
        transcript = " ".join(word.text for word in words)
        confidence = _CONFIDENCE if shown else 0.0
        return Results(
            _CHANNELS,
            round(begin, 6),
            round(end - begin, 6),
            is_final,
            Channel([Alternative(transcript, confidence, shown)]),
            Origin(self._request_id, MODEL),
            speech_final,
            from_finalize,
        )

    # Other events

    def _metadata(self) -> str:
        duration = round(self._now, 6)
        return encode(Metadata(self._request_id, self._created, duration, 1))

    def _refuse(
        self, description: str, frame: str, *, close: int | None = None
    ) -> Reaction:
        message = frame[:_LONGEST]
        error = encode(Error(description, SCHEMA_ERROR, message=message))
        return Reaction((error,), close=close)


def _within(time: float, begin: float, end: float) -> float:
    """Return ``time`` in seconds, limited to the range from ``begin`` to ``end``."""
    return round(min(max(time, begin), end), 6)

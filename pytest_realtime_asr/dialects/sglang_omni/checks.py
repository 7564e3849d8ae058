"""Checks of the events of SGLang-Omni's protocol."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_realtime_asr.dialects.sglang_omni.events import (
    Append,
    Clear,
    Cleared,
    Commit,
    Committed,
    Completed,
    Done,
    Error,
    Segment,
    SessionCreated,
    SessionUpdate,
    SessionUpdated,
)
from pytest_realtime_asr.dialects.sglang_omni.reader import FAILED, OVERFLOW
from pytest_realtime_asr.requirements import checks
from pytest_realtime_asr.requirements.checks.combinators import (
    by_hand,
    first_unsatisfied,
    per_session,
)
from pytest_realtime_asr.requirements.evidence import Part
from pytest_realtime_asr.requirements.requirement import (
    Check,
    Outcome,
    Satisfied,
    SessionCheck,
    Undecided,
    Violated,
)
from pytest_realtime_asr.text.messages import printable
from pytest_realtime_asr.trace.recording import Message, Recording
from pytest_realtime_asr.trace.records import Ending, Sender
from pytest_realtime_asr.trace.timeline import Commit as Committing

_TYPES = ("invalid_request_error", "server_error")
_ROUNDING = 1  # ms by which a time may differ, since both sides round it
_NO_SEGMENT = "the server sent no segment"


def identity(message: Message) -> str | None:
    """Return the id of the session that a message opens; ``None`` if it opens none."""
    return message.session.id if isinstance(message, SessionCreated) else None


# Every event of the server


def indexes_count_up(recording: Recording) -> Outcome:
    """Check that ``event_index`` is 1 in the first event and then grows by 1."""
    expected = 1
    for index, record in enumerate(recording.trace.records):
        found = getattr(recording.messages[index], "event_index", None)
        if record.sender is not Sender.SERVER or found is None:
            continue
        if found != expected:
            return Violated(
                f"the event_index of event number {expected} is {found}", (index,)
            )
        expected += 1
    return Satisfied() if expected > 1 else Undecided("the server sent no event")


def event_ids(recording: Recording) -> Outcome:
    """Check that each event of the server has an id that no other event has."""
    seen: dict[str, int] = {}
    for index, record in enumerate(recording.trace.records):
        name = getattr(recording.messages[index], "event_id", None)
        if record.sender is not Sender.SERVER or name is None:
            continue
        if not name:
            return Violated("an event has an empty event_id", (index,))
        if name in seen:
            return Violated(
                f"two events have the event_id {printable(name)!r}", (seen[name], index)
            )
        seen[name] = index
    return Satisfied() if seen else Undecided("the server sent no event")


# The session


def transcribes(recording: Recording) -> Outcome:
    """Check that each session object of the server describes transcription."""
    judged = False
    for index, message in enumerate(recording.messages):
        if not isinstance(message, SessionCreated | SessionUpdated):
            continue
        shown = message.session
        wrong = [
            f"{name} is {printable(value)!r}, not {wanted!r}"
            for name, value, wanted in (
                ("object", shown.object, "realtime.session"),
                ("intent", shown.intent, "transcription"),
                ("input_audio_format", shown.input_audio_format, "pcm16"),
            )
            if value != wanted
        ]
        if shown.decode_interval_ms <= 0:
            wrong.append(f"decode_interval_ms is {shown.decode_interval_ms}")
        if wrong:
            return Violated(f"in {message.move}, {wrong[0]}", (index,))
        judged = True
    return Satisfied() if judged else Undecided("the server showed no session")


def update_shown(role: str) -> Check:
    """Return a check that ``session.updated`` shows the language in effect.

    In the sessions of ``role``, one update sets the language, and a later update
    names no language. The server answers the updates in their order.
    """

    def check(part: Part) -> Outcome:
        wanted: list[object] = []  # the language after each update
        answers: list[tuple[int, SessionUpdated]] = []
        for index, message in enumerate(part.recording.messages):
            match message:
                case SessionUpdate(session=session):
                    before = wanted[-1] if wanted else None
                    wanted.append(session.get("language", before))
                case SessionUpdated():
                    answers.append((index, message))
                case Error():
                    return Undecided("the server refused an update")
        if not any(wanted) or len(answers) < len(wanted):
            return Undecided("no update of the language was answered")
        for (index, answer), language in zip(answers, wanted, strict=False):
            shown = answer.session.language
            if language is not None and shown != language:
                return Violated(
                    f"session.updated shows the language {shown!r}, but an update has "
                    f"set {language!r}",
                    (index,),
                )
        return Satisfied()

    return per_session(check, role, fold=first_unsatisfied)


def updates_answered(recording: Recording) -> Outcome:
    """Check that each update is answered by ``session.updated`` or by an error."""
    return _answered(recording, (SessionUpdate,), (SessionUpdated, Error), "update")


def clears_answered(recording: Recording) -> Outcome:
    """Check that each clear event is answered by ``input_audio_buffer.cleared``."""
    return _answered(recording, (Clear,), (Cleared,), "clear")


def commits_answered(recording: Recording) -> Outcome:
    """Check that each commit is answered by a committed segment or by an error.

    Commits without audio are left out, as another requirement judges them. The server
    may also commit segments without a commit of the client.
    """
    return _answered(
        recording, (Commit,), (Committed, Error), "commit", only=_with_audio(recording)
    )


def _with_audio(recording: Recording) -> set[int]:
    """Return the indexes of the commits for which the client had sent audio."""
    found, heard = set(), False
    for index, message in enumerate(recording.messages):
        match message:
            case Append(audio=audio):
                heard |= bool(audio or recording.trace.records[index].span)
            case Clear():
                heard = False
            case Commit():
                if heard:
                    found.add(index)
                heard = False
    return found


def _answered(
    recording: Recording,
    questions: tuple[type, ...],
    answers: tuple[type, ...],
    what: str,
    *,
    only: set[int] | None = None,
) -> Outcome:
    """Check that the server sent an answer for each question of the client.

    ``questions`` and ``answers`` are types of messages; the check compares how many
    there are. A question may be on its way when the session ends. So it counts only if
    the server answered a later frame, or if the client waited for the answer until the
    deadline. ``only`` has the indexes of the questions to count. ``what`` names a
    question in messages.
    """
    sent = _indexes(recording, Sender.CLIENT, *questions)
    sent = [index for index in sent if only is None or index in only]
    if not sent:
        return Undecided(f"no {what} was sent")
    found = _indexes(recording, Sender.SERVER, *answers)
    if len(found) >= len(sent):
        return Satisfied()
    if recording.trace.end.how is Ending.DEADLINE:
        received = sent
    else:
        last = _last_transcribed(recording)
        received = [index for index in sent if index <= last]
    if len(found) < len(received):
        return Violated(
            f"the server answered only {len(found)} of {len(received)} {what}s",
            tuple(received),
        )
    return Undecided(f"the session ended before the server could answer every {what}")


def _last_transcribed(recording: Recording) -> int:
    """Return the index of the last commit whose segment was settled.

    The result is 0 if there is no such commit, or if the server has divided an
    utterance into segments.
    """
    commits = sorted(_with_audio(recording))
    finals = {
        message.segment_id
        for message in recording.messages
        if isinstance(message, Segment) and message.is_final
    }
    committed = _indexes(recording, Sender.SERVER, Committed)
    if len(committed) > len(commits):  # the server has divided an utterance
        return 0
    return [0, *commits][min(len(finals), len(commits))]


def _indexes(recording: Recording, sender: Sender, *kinds: type) -> list[int]:
    records = recording.trace.records
    return [
        index
        for index, message in enumerate(recording.messages)
        if isinstance(message, kinds) and records[index].sender is sender
    ]


# Segments


def each_segment(check: SessionCheck) -> SessionCheck:
    """Return ``check`` with one change: a session without a segment is undecided."""

    def check_session(recording: Recording) -> Outcome:
        if not any(isinstance(message, Segment) for message in recording.messages):
            return Undecided(_NO_SEGMENT)
        return check(recording)

    return check_session


def _segments(recording: Recording) -> Iterator[tuple[int, Segment]]:
    for index, message in enumerate(recording.messages):
        if isinstance(message, Segment):
            yield index, message


def _ids_count_up(recording: Recording) -> Outcome:
    latest, first = -1, -1
    for index, segment in _segments(recording):
        if segment.segment_id < 0:
            what = f"a segment has the negative number {segment.segment_id}"
            return Violated(what, (index,))
        if segment.segment_id < latest:
            what = f"segment {segment.segment_id} came after segment {latest}"
            return Violated(what, (first, index))
        latest, first = segment.segment_id, index
    return Satisfied()


def _settled_once(recording: Recording) -> Outcome:
    settled: dict[int, int] = {}
    for index, segment in _segments(recording):
        name = segment.segment_id
        if name in settled:
            what = f"segment {name} was sent again after its text was settled"
            return Violated(what, (settled[name], index))
        if segment.is_final:
            settled[name] = index
    return Satisfied() if settled else Undecided("no segment was settled")


def _committed_first(recording: Recording) -> Outcome:
    committed: set[int] = set()
    judged = False
    for index, message in enumerate(recording.messages):
        match message:
            case Committed(segment_id=name):
                committed.add(name)
            case Segment(segment_id=name, is_final=True):
                judged = True
                if name not in committed:
                    return Violated(
                        f"segment {name} was settled, but no "
                        "input_audio_buffer.committed names it",
                        (index,),
                    )
    return Satisfied() if judged else Undecided("no segment was settled")


def committed_once(recording: Recording) -> Outcome:
    """Check that no segment is committed twice."""
    seen: dict[int, int] = {}
    for index, message in enumerate(recording.messages):
        if isinstance(message, Committed):
            name = message.segment_id
            if name in seen:
                what = f"segment {name} was committed twice"
                return Violated(what, (seen[name], index))
            seen[name] = index
    return Satisfied() if seen else Undecided("no segment was committed")


def committed_end(recording: Recording) -> Outcome:
    """Check that each committed segment is settled or is reported as failed.

    This also holds for a segment that was committed before a clear.
    """
    committed: dict[int, int] = {}
    settled, failed = set(), 0
    for index, message in enumerate(recording.messages):
        match message:
            case Committed(segment_id=name):
                committed.setdefault(name, index)
            case Segment(segment_id=name, is_final=True):
                settled.add(name)
            case Error(error=problem):
                failed += problem.code == FAILED
    if not committed:
        return Undecided("no segment was committed")
    open_ = [at for name, at in committed.items() if name not in settled]
    if len(open_) <= failed:
        return Satisfied()
    later = [name for name in settled if name > min(committed.keys() - settled)]
    if not later and checks.cut(recording):
        return Undecided(
            "the client ended the session before every segment was settled"
        )
    how = "a later segment was settled" if later else checks.ended(recording)
    return Violated(
        f"a committed segment was never settled: {how}",
        tuple(open_),
        by_end=not later,
        by_loss=True,
    )


def _times_in_order(recording: Recording) -> Outcome:
    starts: dict[int, int] = {}
    before, end = -1, 0  # the number of the previous segment, and its end in ms
    for index, segment in _segments(recording):
        name, start = segment.segment_id, segment.audio_start_ms
        if not 0 <= start <= segment.audio_end_ms:
            what = f"from {start} ms to {segment.audio_end_ms} ms"
            return Violated(f"segment {name} lasts {what}", (index,))
        if starts.setdefault(name, start) != start:
            what = f"at {starts[name]} ms and at {start} ms"
            return Violated(f"segment {name} starts {what}", (index,))
        if name != before:
            if start < end:
                what = f"at {start} ms, before the end of segment {before} at {end} ms"
                return Violated(f"segment {name} starts {what}", (index,))
            before = name
        end = segment.audio_end_ms
    return Satisfied()


def _inside_the_audio(recording: Recording) -> Outcome:
    events = recording.timeline.heard
    if not events or any(record.raw for record in recording.trace.records):
        return Undecided(
            "it is not known how much audio the server has, since a frame may have "
            "been written by hand"
        )
    sent: list[tuple[int, float]] = []  # start of sending, ms of audio up to then
    total = 0
    for heard in events:
        total += heard.size // 2
        sent.append((heard.woke, total * 1000 / recording.timeline.rate))
    place, known = 0, 0.0
    for index, segment in _segments(recording):
        at = recording.trace.records[index].at
        while place < len(sent) and sent[place][0] <= at:
            known = sent[place][1]
            place += 1
        if segment.audio_end_ms > known + _ROUNDING:
            return Violated(
                f"segment {segment.segment_id} ends at {segment.audio_end_ms} ms, but "
                f"only {known:.0f} ms of audio had been sent",
                (index,),
            )
    return Satisfied()


ids_count_up = each_segment(_ids_count_up)
"""A check that no segment comes after a segment with a higher number."""
settled_once = each_segment(_settled_once)
"""A check that no event of a segment comes after the event that settles its text."""
committed_first = each_segment(_committed_first)
"""A check that each settled segment was committed before it was settled."""
times_in_order = each_segment(_times_in_order)
"""A check that segments do not overlap, and that the start of a segment never changes.

With its final text, a segment may get an earlier end, since the server may have found
that the speech ended earlier.
"""
inside_the_audio = each_segment(_inside_the_audio)
"""A check that no segment ends after the audio that the client has sent."""


# The end of a session


def completed_joins(recording: Recording) -> Outcome:
    """Check that the text of ``transcription.completed`` is the text of all segments.

    White space is not compared, since not all scripts separate words by spaces.
    """
    texts: dict[int, str] = {}
    for index, message in enumerate(recording.messages):
        match message:
            case Segment(segment_id=name, text=text, is_final=True):
                texts[name] = text
            case Completed(text=whole):
                joined = " ".join(text for _, text in sorted(texts.items()))
                if whole.split() == joined.split() or _solid(whole) == _solid(joined):
                    return Satisfied()
                return Violated(
                    f"the text of the session is {whole!r}, but the texts of its "
                    f"segments are {joined!r}",
                    (index,),
                )
    return Undecided("no transcription.completed came")


def _solid(text: str) -> str:
    return "".join(text.split())


def completed_once(recording: Recording) -> Outcome:
    """Check that one ``transcription.completed`` answers ``transcription.done``."""
    asked = _indexes(recording, Sender.CLIENT, Done)
    answers = _indexes(recording, Sender.SERVER, Completed)
    if len(answers) > 1:
        return Violated("transcription.completed came more than once", tuple(answers))
    if answers and not asked:
        what = "transcription.completed came without a transcription.done"
        return Violated(what, tuple(answers))
    if not asked:
        return Undecided("no transcription.done was sent")
    if answers:
        return Satisfied()
    if checks.cut(recording) and not _waited(recording, asked[-1]):
        return Undecided("the client ended the session before transcription.completed")
    return Violated(
        "no transcription.completed came after transcription.done", tuple(asked)
    )


def _waited(recording: Recording, index: int) -> bool:
    """Return whether a hand-written frame and then an error came after ``index``."""
    records = recording.trace.records
    later = [i for i in range(index + 1, len(records)) if records[i].raw]
    return bool(later) and any(
        isinstance(message, Error) for message in recording.messages[later[0] :]
    )


def overflow_code(role: str) -> Check:
    """Return a check that audio beyond the limit is refused with the documented code.

    The sessions of ``role`` send a session update and then this audio. A server that
    accepts all of the audio satisfies the check if it answers the update. The check is
    undecided if the server answers neither.
    """

    def check(part: Part) -> Outcome:
        if not by_hand(part):
            return Undecided(f"the audio was not sent: {checks.why(part)}")
        codes = [refusal.code for refusal in part.timeline.refusals]
        wrong = [code for code in codes if code != OVERFLOW]
        if wrong:
            known = f"the code {printable(wrong[0])}" if wrong[0] else "no code"
            return Violated(
                f"audio beyond the limit was refused with {known}, not with {OVERFLOW}",
                (),
            )
        if not codes and not _indexes(part.recording, Sender.SERVER, SessionUpdated):
            return Undecided("the server did not answer the session update")
        return Satisfied()

    return per_session(check, role)


def errors_have_types(recording: Recording) -> Outcome:
    """Check that each error has a message, and one of the documented types."""
    judged = False
    for index, message in enumerate(recording.messages):
        if not isinstance(message, Error):
            continue
        judged = True
        if message.error.type not in _TYPES:
            wanted = " or ".join(_TYPES)
            kind = printable(message.error.type)
            what = f"an error has the type {kind!r}, not {wanted}"
            return Violated(what, (index,))
    return Satisfied() if judged else Undecided("no error came")


def answered_by(role: str, kind: type, what: str, *, codes: Sequence[str]) -> Check:
    """Return a check that a frame is answered by an error with one of ``codes``.

    The frame is the last hand-written frame of a session of ``role``. It is sent after
    the server's event of the type ``kind``. ``what`` describes the frame in messages.
    """

    def check(part: Part) -> Outcome:
        messages = part.recording.messages
        opened = next((i for i, m in enumerate(messages) if isinstance(m, kind)), None)
        if opened is None:
            return Undecided(
                f"{what} was not sent, since the server did not send the event that "
                "must come first"
            )
        later = [m.error.code for m in messages[opened:] if isinstance(m, Error)]
        if not later:
            return Violated(f"{what} was not answered by an error", (opened,))
        if later[-1] not in codes:
            known = f"the code {printable(later[-1])}" if later[-1] else "no code"
            return Violated(
                f"{what} was answered by an error with {known}, not with "
                f"{' or '.join(codes)}",
                (opened,),
            )
        return Satisfied()

    return per_session(check, role)


def ends_with_final(role: str) -> Check:
    """Return a check that the last utterance of each session has a final.

    The client ends this utterance by ``transcription.done``, not by a commit.
    """

    def check(part: Part) -> Outcome:
        done = _indexes(part.recording, Sender.CLIENT, Done)
        if not done:
            return Undecided(f"transcription.done was not sent: {checks.why(part)}")
        commits = [e for e in part.timeline.events if isinstance(e, Committing)]
        if part.timeline.item(commits[-1].item).final is not None:
            return Satisfied()
        completed = _indexes(part.recording, Sender.SERVER, Completed)
        if checks.cut(part.recording) and not completed:
            return Undecided("the client ended the session before the final")
        return Violated(
            "no final came for the audio that was sent before transcription.done",
            tuple(done),
        )

    return per_session(check, role)

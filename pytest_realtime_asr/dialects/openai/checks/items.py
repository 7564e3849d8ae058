"""Checks of items: their ids, order, texts and ends.

An item is identified by its id. Events may name an item before it is committed, because
models for live speech send text immediately. Items may be completed in any order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

from pytest_realtime_asr.dialects.openai.checks.messages import by_hand, from_server
from pytest_realtime_asr.dialects.openai.events import (
    BetaUpdate,
    Committed,
    Completed,
    Delta,
    Failed,
    ItemAdded,
    ItemCreated,
    ItemDone,
    SessionUpdate,
    SpeechStarted,
    SpeechStopped,
)
from pytest_realtime_asr.requirements.checks import cut, ended
from pytest_realtime_asr.requirements.requirement import (
    Check,
    Outcome,
    Satisfied,
    Undecided,
    Violated,
    each,
)
from pytest_realtime_asr.trace.recording import Recording


@dataclass(slots=True)
class Item:
    """The indexes of the records that name an item, one list for each kind of event.

    ``configured`` says whether the client updated the session before the item was
    committed.
    """

    started: list[int] = field(default_factory=list)
    stopped: list[int] = field(default_factory=list)
    committed: list[int] = field(default_factory=list)
    deltas: list[int] = field(default_factory=list)
    parts: list[int] = field(default_factory=list)  # completed, but more text follows
    ends: list[int] = field(default_factory=list)
    announced: list[int] = field(default_factory=list)
    configured: bool = False


def items(recording: Recording) -> dict[str, Item]:
    """Return the items of a session by id, in the order of their first events."""
    found: dict[str, Item] = {}
    configured = False

    def at(name: str) -> Item:
        return found.setdefault(name, Item())

    for index, message in enumerate(recording.messages):
        match message:
            case SpeechStarted(item_id=name):
                at(name).started.append(index)
            case SpeechStopped(item_id=name):
                at(name).stopped.append(index)
            case SessionUpdate() | BetaUpdate():
                configured |= not recording.trace.records[index].raw
            case Committed(item_id=name):
                item = at(name)
                item.configured |= configured and not item.committed
                item.committed.append(index)
            case Delta(item_id=name):
                at(name).deltas.append(index)
            case Completed(item_id=name, is_last_result=False):
                at(name).parts.append(index)
            case Completed(item_id=name) | Failed(item_id=name):
                at(name).ends.append(index)
            case ItemAdded(item=item) | ItemDone(item=item) | ItemCreated(item=item):
                at(item.id).announced.append(index)
    return found


def each_item(
    problem: Callable[[Recording, str, Item], str | None],
    nothing: str,
    *,
    by_end: bool = False,
) -> Check:
    """Return a check that applies ``problem`` to each item of each session.

    ``problem`` returns a sentence if an item is wrong, "" if the item is correct, and
    ``None`` if the recording does not show whether the item is correct. If ``problem``
    returns ``None`` for every item, the check is undecided, for the reason ``nothing``.
    ``by_end`` is true if ``problem`` looks for items that had not ended when the
    session ended. If there is such an item, the end of the session is the violation.
    """

    def check(recording: Recording) -> Outcome:
        shown = False
        for name, item in items(recording).items():
            what = problem(recording, name, item)
            shown |= what is not None
            if what:
                named = (item.ends or item.committed or item.deltas or item.started)[:1]
                return Violated(what, tuple(named), by_end=by_end, by_loss=by_end)
        return Satisfied() if shown else Undecided(nothing)

    return each(check)


def follows_previous(recording: Recording) -> Outcome:
    """Check that each committed event names the item that was committed before it.

    The first committed event must name no item.
    """
    before: str | None = None
    commits = from_server(recording, Committed)
    for index, message in commits:
        if (message.previous_item_id or None) != before:
            return Violated(
                f"the item {message.item_id!r} has previous_item_id "
                f"{message.previous_item_id!r}, but the item that was committed "
                f"before it is {before!r}",
                (index,),
            )
        before = message.item_id
    return Satisfied() if commits else Undecided("no item was committed")


# Checks of one item, as `each_item` calls them


def committed_first(recording: Recording, name: str, item: Item) -> str | None:
    """Check that an item is committed before it is completed or fails."""
    if not item.ends:
        return None
    if not item.committed:
        return f"the item {name!r} ended, but was never committed"
    if item.committed[0] > item.ends[0]:
        return f"the item {name!r} ended before it was committed"
    return ""


def committed_once(recording: Recording, name: str, item: Item) -> str | None:
    """Check that a committed item has an id and is committed only once."""
    if not item.committed:
        return None
    if not name:
        return "an item was committed without an id"
    return f"the item {name!r} was committed twice" if len(item.committed) > 1 else ""


def ends(recording: Recording, name: str, item: Item) -> str | None:
    """Check that a committed item is completed or fails."""
    if not item.committed:
        return None
    if not item.configured:
        return None  # a server may transcribe nothing by default
    if item.ends:
        return ""
    if cut(recording) or by_hand(recording):
        return None
    why = ended(recording)
    return f"the item {name!r} was not completed and did not fail before the end: {why}"


def ends_once(recording: Recording, name: str, item: Item) -> str | None:
    """Check that an item is completed or fails only once."""
    if not item.ends:
        return None
    moves = [recording.messages[i].move.rpartition(".")[2] for i in item.ends]
    what = f"the item {name!r} ended more than once: {', then '.join(moves)}"
    return what if len(moves) > 1 else ""


def no_text_after_end(recording: Recording, name: str, item: Item) -> str | None:
    """Check that no delta of an item comes after the item has ended."""
    if not item.ends:
        return None
    late = [index for index in item.deltas if index > item.ends[0]]
    return f"a delta of the item {name!r} came after its end" if late else ""


def one_content(recording: Recording, name: str, item: Item) -> str | None:
    """Check that all events of an item have the same ``content_index``."""
    events = (recording.messages[i] for i in (*item.deltas, *item.parts, *item.ends))
    found = {getattr(message, "content_index", None) for message in events} - {None}
    if not found:
        return None
    different = " and ".join(sorted(map(str, found)))
    what = f"the events of the item {name!r} differ in content_index: {different}"
    return what if len(found) > 1 else ""


def adds_up(recording: Recording, name: str, item: Item) -> str | None:
    """Check that the joined deltas of an item equal its transcript."""
    found = _texts(recording, item)
    if found is None:
        return None
    joined, transcript = "".join(found[0]), found[1]
    if single_spaced(joined) == single_spaced(transcript):
        return ""
    return (
        f"the joined deltas of the item {name!r} are {joined!r}, but its transcript is "
        f"{transcript!r}"
    )


def increments(recording: Recording, name: str, item: Item) -> str | None:
    """Check that each delta is only new text, not the whole text so far."""
    found = _texts(recording, item)
    if found is None or len(found[0]) < 2:
        return None
    deltas, transcript = found
    grows = all(b.startswith(a) for a, b in pairwise(deltas))
    whole, joined = map(single_spaced, (transcript, "".join(deltas)))
    if grows and single_spaced(deltas[-1]) == whole != joined:
        return (
            f"each delta of the item {name!r} repeats the text so far: {deltas[0]!r}, "
            f"{deltas[1]!r}, ..."
        )
    return ""


def _texts(recording: Recording, item: Item) -> tuple[list[str], str] | None:
    """Return the non-empty deltas of an item and its transcript.

    Return ``None`` for an item without deltas or without a transcript, and for an item
    whose transcript the server completes in several parts.
    """
    if item.parts:
        return None
    deltas = []
    for index in item.deltas:
        message = recording.messages[index]
        assert isinstance(message, Delta)
        if message.delta:
            deltas.append(message.delta)
    for index in item.ends:
        message = recording.messages[index]
        if deltas and isinstance(message, Completed):
            return deltas, message.transcript
    return None


def single_spaced(text: str) -> str:
    """Return a text with each run of white space replaced by a single space.

    Two texts are compared in this form, since some servers normalise white space.
    """
    return " ".join(text.split())


def announced_consistently(recording: Recording, name: str, item: Item) -> str | None:
    """Check that an item has the same previous item in all events that announce it.

    The committed event announces an item, and so do the conversation events that name
    the item. An item that was added to the conversation must also be committed.
    """
    if not item.announced:
        return None
    if not item.committed:
        wrong = f"the item {name!r} was added to the conversation, but never committed"
        return None if cut(recording) else wrong
    committed = recording.messages[item.committed[0]]
    assert isinstance(committed, Committed)
    for index in item.announced:
        message = recording.messages[index]
        assert isinstance(message, ItemAdded | ItemDone | ItemCreated)
        if (message.previous_item_id or None) != (committed.previous_item_id or None):
            return (
                f"the item {name!r} has previous_item_id "
                f"{message.previous_item_id!r} in {message.move}, but "
                f"{committed.previous_item_id!r} in its committed event"
            )
    return ""


def announced(recording: Recording, name: str, item: Item) -> str | None:
    """Check that an item was added to the conversation.

    Only an item that was committed and has ended is checked.
    """
    if not item.committed or not item.ends:
        return None
    missing = f"the committed item {name!r} was not added to the conversation"
    return "" if item.announced else missing

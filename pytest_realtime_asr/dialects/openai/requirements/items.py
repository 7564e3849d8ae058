"""Requirements on the events of items: shapes, order, ids, texts and usage."""

from __future__ import annotations

from pytest_realtime_asr.dialects.openai.checks import answers, items, session, usage
from pytest_realtime_asr.dialects.openai.events import START, TABLE
from pytest_realtime_asr.dialects.openai.requirements.declared import (
    GUIDE,
    READ,
    TYPES,
    Declared,
    bug,
    clause,
    where,
)
from pytest_realtime_asr.requirements import checks, shared
from pytest_realtime_asr.requirements.order import order
from pytest_realtime_asr.requirements.requirement import Level, Proof, Requirement, each
from pytest_realtime_asr.requirements.shared import HARM
from pytest_realtime_asr.trace.records import Sender

MUST, SHOULD, INFO = Level.MUST, Level.SHOULD, Level.INFO


_OWN_PREFIXES = (
    "session.",
    "transcription_session.",
    "conversation.",
    "input_audio_buffer.",
    "rate_limits.",
    "error",
)

ITEMS: tuple[Declared, ...] = (
    shared.stated(
        "order",
        f"{GUIDE}: the order of events ({READ})",
        each(order(TABLE, start=START)),
    ),
    shared.stated("well-formed", f"{TYPES}: the fields of each event ({READ})"),
    shared.stated(
        "known-events",
        f"{TYPES}: the types of events ({READ}); mastra-ai/mastra#16759",
        each(checks.known_events(Sender.SERVER, _OWN_PREFIXES)),
    ),
    Requirement(
        "event-ids-are-unique",
        "each event has its own id",
        MUST,
        clause("realtime_error_event", "event_id is the unique ID of the server event")
        + "; LocalAI gives all events the same id",
        each(session.event_ids),
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("same-event-ids",)),
    ),
    Requirement(
        "commit-answered",
        "each commit is answered by a committed item or by an error",
        MUST,
        clause(
            "input_audio_buffer_commit_event",
            "the server will respond with input_audio_buffer.committed",
        ),
        each(answers.commits_answered),
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("silent-commit",)),
    ),
    Requirement(
        "items-are-committed",
        "a completed item has the id of a committed item",
        MUST,
        clause(
            "input_audio_buffer_committed_event",
            "item_id is the ID of the item that will be created",
        )
        + "; LocalAI completes another item",
        items.each_item(items.committed_first, "no item ended"),
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("other-item-ids",)),
    ),
    Requirement(
        "item-ids-are-unique",
        "each item has its own id",
        MUST,
        clause(
            "input_audio_buffer_committed_event",
            "item_id is the ID of the item that will be created",
        ),
        items.each_item(items.committed_once, "no item was committed"),
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("same-item-ids",)),
    ),
    Requirement(
        "items-are-chained",
        "each item names the item that was committed before it",
        MUST,
        clause(
            "input_audio_buffer_committed_event",
            "previous_item_id is the ID of the preceding item, or null",
        )
        + "; openclaw#113723",
        each(items.follows_previous),
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("unchained",)),
    ),
    Requirement(
        "items-are-added",
        "an item is added to the conversation once it is committed",
        INFO,
        clause(
            "conversation_item_added",
            "sent when the input audio buffer is committed",
        ),
        items.each_item(items.announced, "no item was both committed and ended"),
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("adds-nothing",)),
    ),
    Requirement(
        "items-are-added-in-place",
        "all events that announce an item have the same previous_item_id",
        SHOULD,
        clause(
            "conversation_item_added",
            "previous_item_id is the ID of the item that precedes this one",
        ),
        items.each_item(
            items.announced_consistently, "no item was added to the conversation"
        ),
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("displaced",)),
    ),
    Requirement(
        "items-end",
        "each committed item is completed or fails",
        MUST,
        clause(
            "conversation_item_input_audio_transcription_failed_event",
            "returned when a transcription request for a user message failed",
        )
        + "; sgl-project/sglang-omni#385",
        items.each_item(
            items.ends,
            "no item was committed in a session that was set up",
            by_end=True,
        ),
        scenarios=("utterances", "in-flight"),
        passive=True,
        proof=Proof(("no-final",)),
    ),
    Requirement(
        "items-end-once",
        "each item is completed or fails only once",
        MUST,
        HARM + ": clients mistake the second text for the text of another item",
        items.each_item(items.ends_once, "no item ended"),
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("fails-first",)),
    ),
    Requirement(
        "nothing-after-the-end",
        "no delta of an item comes after the item has ended",
        MUST,
        HARM + ": clients lose the text, or mistake it for the text of another item",
        items.each_item(items.no_text_after_end, "no item ended"),
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("late-delta",)),
    ),
    Requirement(
        "one-content-index",
        "content_index is the same in all events of an item",
        MUST,
        clause(
            "conversation_item_input_audio_transcription_completed_event",
            "content_index names the content part that contains the audio",
        )
        + "; huggingface/speech-to-speech#474",
        items.each_item(items.one_content, "no event has a content_index"),
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("counts-content",)),
    ),
    Requirement(
        "deltas-are-new",
        "a delta has only the new text, not the whole text so far",
        MUST,
        clause(
            "conversation_item_input_audio_transcription_delta_event",
            "incremental transcription results",
        )
        + "; huggingface/speech-to-speech#474, vllm-omni#3907",
        items.each_item(items.increments, "no item had two deltas and a transcript"),
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("cumulative",)),
    ),
    shared.stated(
        "deltas-add-up",
        bug("huggingface/speech-to-speech#474", "vllm-omni#3907"),
        items.each_item(items.adds_up, "no item both had a delta and was completed"),
        level=SHOULD,
    ),
    shared.stated(
        "usage-adds-up",
        clause(
            "conversation_item_input_audio_transcription_completed_event",
            "usage is required, and total_tokens is the sum of its parts",
        ),
        each(usage.usage_is_valid),
    ),
    shared.stated(
        "usage-counts",
        clause(
            "conversation_item_input_audio_transcription_completed_event",
            "output_tokens counts generated tokens; seconds is the length of the audio",
        ),
        each(usage.usage_counts_text),
    ),
    shared.stated("usage-matches", proof=Proof(("one-token", "usage-in-ms"))),
    # NVIDIA documents that the usage of its server adds up over a session.
    where(
        lambda profile: profile.greeting != "conversation.created",
        shared.stated("usage-of-each"),
    ),
    Requirement(
        "logprobs-come",
        "log probabilities are sent if the session asks for them",
        SHOULD,
        clause(
            "conversation_item_input_audio_transcription_delta_event",
            "logprobs are enabled by the field `include` of the session",
        ),
        usage.texts_have_logprobs("logprobs"),
        scenarios=("logprobs",),
        proof=Proof(("no-logprobs",)),
    ),
    Requirement(
        "logprobs-are-sane",
        "log probabilities are at most 0, and their joined tokens equal the delta",
        SHOULD,
        clause(
            "conversation_item_input_audio_transcription_delta_event",
            "each entry is the log probability of a token of this chunk",
        ),
        each(usage.logprobs_are_valid),
        scenarios=("logprobs",),
        passive=True,
        proof=Proof(("odd-logprobs",)),
    ),
)

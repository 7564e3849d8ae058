"""Checks for every dialect, of frames, timelines, texts and the ends of sessions.

Most functions return a check of the sessions that have the given ``role``.
"""

from pytest_realtime_asr.requirements.checks.characters import (
    no_control_characters,
    paired_directions,
    whole_characters,
)
from pytest_realtime_asr.requirements.checks.combinators import (
    absent,
    any_session,
    both,
    per_session,
    why,
)
from pytest_realtime_asr.requirements.checks.connection import (
    close_answered,
    explained_close,
    explained_end,
    freed,
    handshake_refused,
    plain_http_refused,
    pongs,
    refused_or_closed,
    same_process,
    unique_ids,
)
from pytest_realtime_asr.requirements.checks.finals import (
    answers,
    finishes,
    random_sessions_pass,
    survives,
)
from pytest_realtime_asr.requirements.checks.frames import (
    cut,
    ended,
    first_event,
    known_events,
    named,
    records,
    well_formed,
)
from pytest_realtime_asr.requirements.checks.leaks import (
    never_repeated,
    no_secret,
    no_stack_trace,
)
from pytest_realtime_asr.requirements.checks.losses import no_loss
from pytest_realtime_asr.requirements.checks.model_tokens import (
    no_control_tokens,
    no_vocabulary_tokens,
)
from pytest_realtime_asr.requirements.checks.refusals import (
    answers_by_hand,
    errors_have_codes,
    refused,
    sent_after_hand,
    set_up_accepted,
    silent,
    utterances_answered,
)
from pytest_realtime_asr.requirements.checks.settled_text import settled_text_stays
from pytest_realtime_asr.requirements.checks.texts import (
    has_both_clips,
    has_clip,
    has_first_word,
    has_last_word,
    if_in_time,
    keeps_start,
    kept_apart,
    no_repetition,
    same_text,
    solo_transcripts,
    speech_has_text,
    starts_nothing,
    usable,
    wordless,
)
from pytest_realtime_asr.requirements.checks.timing import (
    confirmed_alone,
    keeps_up,
    no_early_text,
    no_stall,
    text_during_audio,
)
from pytest_realtime_asr.requirements.checks.usage import usage_matches, usage_of_each

__all__ = [
    "absent",
    "answers",
    "answers_by_hand",
    "any_session",
    "both",
    "close_answered",
    "confirmed_alone",
    "cut",
    "ended",
    "errors_have_codes",
    "explained_close",
    "explained_end",
    "finishes",
    "first_event",
    "freed",
    "handshake_refused",
    "has_both_clips",
    "has_clip",
    "has_first_word",
    "has_last_word",
    "if_in_time",
    "keeps_start",
    "keeps_up",
    "kept_apart",
    "known_events",
    "named",
    "never_repeated",
    "no_control_characters",
    "no_control_tokens",
    "no_early_text",
    "no_loss",
    "no_repetition",
    "no_secret",
    "no_stack_trace",
    "no_stall",
    "no_vocabulary_tokens",
    "paired_directions",
    "per_session",
    "plain_http_refused",
    "pongs",
    "random_sessions_pass",
    "records",
    "refused",
    "refused_or_closed",
    "same_process",
    "same_text",
    "sent_after_hand",
    "set_up_accepted",
    "settled_text_stays",
    "silent",
    "solo_transcripts",
    "speech_has_text",
    "starts_nothing",
    "survives",
    "text_during_audio",
    "unique_ids",
    "usable",
    "usage_matches",
    "usage_of_each",
    "utterances_answered",
    "well_formed",
    "whole_characters",
    "why",
    "wordless",
]

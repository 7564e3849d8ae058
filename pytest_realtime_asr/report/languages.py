"""Describes how the language of a reference was chosen if the user did not state it."""

from __future__ import annotations

from pytest_realtime_asr.metrics.accuracy import Languages
from pytest_realtime_asr.text.number_format import several


def short(found: Languages) -> str:
    """Return how many utterances state no language, as a part of a longer line.

    The result is empty if every utterance states its language.
    """
    parts = []
    if found.unknown:
        of = "" if found.unknown == found.of else f" for {found.unknown} of {found.of}"
        parts.append(f"no language stated{of}")
    if found.by_script:
        parts.append(
            f"language {', '.join(found.by_script)} inferred from the writing system"
        )
    return ", ".join(parts)


def lines(found: Languages) -> list[str]:
    """Return what was assumed about languages, why, and what the user can do.

    The result is empty if every utterance states its language.
    """
    texts = []
    if found.unknown:
        of = several(found.of, "utterance")
        texts.append(
            f"WER: no language is stated for {found.unknown} of {of}, so the "
            f"normaliser {' and '.join(found.neutral)} was used; it fits every "
            "language, but compares numbers and contractions as they are written; "
            "state the language by --realtime-language, by the field `language` of the "
            "manifest, or in corpus.toml"
        )
    if found.by_script:
        tags = ", ".join(found.by_script)
        texts.append(
            f"WER: no language is stated for some utterances; {tags} was inferred from "
            "the writing system of their references"
        )
    return texts

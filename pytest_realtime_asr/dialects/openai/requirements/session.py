"""Requirements on the session of OpenAI's protocol: its identity and its updates."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_realtime_asr.dialects.openai.checks import answers, refusals, session
from pytest_realtime_asr.dialects.openai.invalid_frames import NO_FORMAT, NO_INCLUDE
from pytest_realtime_asr.dialects.openai.profile import Profile
from pytest_realtime_asr.dialects.openai.requirements.declared import (
    Declared,
    clause,
    where,
)
from pytest_realtime_asr.requirements import checks, shared
from pytest_realtime_asr.requirements.requirement import Level, Proof, Requirement, each
from pytest_realtime_asr.requirements.shared import HARM

MUST, SHOULD, INFO = Level.MUST, Level.SHOULD, Level.INFO


def _first_event(profile: Profile) -> Iterable[Requirement]:
    yield shared.stated(
        "first-event",
        clause(
            "session_created_event",
            "emitted when a new connection is established, as the first server event",
        ),
        each(checks.first_event(session.identity(profile))),
    )


SESSION: tuple[Declared, ...] = (
    _first_event,
    where(
        lambda profile: not profile.beta,
        Requirement(
            "session-type",
            "session.created opens a transcription session",
            MUST,
            clause(
                "realtime_transcription_session_create_response",
                "type is always `transcription`",
            )
            + "; mudler/LocalAI#6445",
            each(session.is_transcription),
            scenarios=("utterances",),
            passive=True,
            proof=Proof(("conversing",)),
        ),
    ),
    shared.stated(
        "unique-ids",
        clause(
            "realtime_transcription_session_create_response",
            "id is the unique identifier of the session",
        ),
    ),
    # conversation.created does not say when the session expires
    where(
        lambda profile: profile.expires and profile.greeting != "conversation.created",
        Requirement(
            "expires-later",
            "expires_at is later than the start of the session",
            SHOULD,
            clause(
                "realtime_transcription_session_create_response",
                "expires_at is in seconds since the epoch",
            )
            + "; livekit/agents#2358",
            each(session.expires_later),
            scenarios=("utterances",),
            passive=True,
            proof=Proof(("old-clock",)),
        ),
    ),
    where(
        lambda profile: profile.expires and profile.greeting != "conversation.created",
        Requirement(
            "expires-within-a-day",
            "expires_at is in seconds, at most a day after the start of the session",
            SHOULD,
            clause(
                "realtime_transcription_session_create_response",
                "expires_at is in seconds since the epoch",
            ),
            each(session.expires_within_a_day),
            scenarios=("utterances",),
            passive=True,
            proof=Proof(("expires-in-ms",)),
        ),
    ),
    Requirement(
        "update-answered",
        "each update is answered by the updated session or by an error",
        MUST,
        clause(
            "session_updated_event",
            "returned when a session is updated, unless there is an error",
        ),
        each(answers.updates_answered),
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("silent-update",)),
    ),
    shared.stated(
        "update-again",
        clause(
            "session_update_event", "the client may send session.update at any time"
        ),
    ),
    Requirement(
        "update-shows-what-holds",
        "session.updated shows the values that the update has set",
        SHOULD,
        clause(
            "session_update_event",
            "session.updated shows the full, effective configuration",
        ),
        each(session.shows_what_was_asked),
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("unset",)),
    ),
    Requirement(
        "update-keeps-the-rest",
        "an update changes only the fields that it contains",
        MUST,
        clause(
            "session_update_event",
            "only the fields that are present in the session.update are updated",
        ),
        session.keeps_the_rest("partial-update"),
        scenarios=("partial-update",),
        proof=Proof(("forgets-rest",)),
    ),
    Requirement(
        "refused-update-unconfirmed",
        "a refused update is not also reported as accepted",
        SHOULD,
        clause(
            "session_updated_event",
            "returned when a session is updated, unless there is an error",
        )
        + "; Speaches sends an error and session.updated",
        session.refused_not_accepted,
        scenarios=("refused-update",),
        proof=Proof(("confirms-refused",)),
    ),
    Requirement(
        "refused-fields-unshown",
        "session.updated does not show a value that was refused",
        MUST,
        clause(
            "session_update_event",
            "session.updated shows the full, effective configuration",
        ),
        session.refused_not_shown("refused-update", NO_FORMAT, "a format"),
        scenarios=("refused-update",),
        proof=Proof(("shows-refused",)),
    ),
    Requirement(
        "refused-include-unshown",
        "session.updated does not show an unknown value of `include`",
        MUST,
        clause(
            "session_update_event",
            "session.updated shows the full, effective configuration",
        ),
        session.refused_not_shown("refused-include", NO_INCLUDE, "an include"),
        scenarios=("refused-include",),
        proof=Proof(("shows-refused",)),
    ),
    Requirement(
        "refused-update-outlived",
        "a refused update leaves the session as it was",
        MUST,
        HARM,
        checks.both(
            refusals.stays_open("refused-update"),
            checks.finishes("refused-update"),
            checks.same_text("refused-update"),
        ),
        scenarios=("alone", "refused-update"),
        proof=Proof(("closes-on-error",)),
    ),
    *shared.restated(
        shared.SET_UPS,
        shared.stated(
            "set-ups-kept-apart",
            check=checks.both(
                checks.finishes(shared.TWO_SET_UPS),
                session.opens_alike(shared.TWO_SET_UPS, shared.BESIDE),
                session.keeps_the_rest(shared.TWO_SET_UPS),
                checks.same_text(shared.TWO_SET_UPS),
                checks.set_up_accepted(shared.BESIDE),
            ),
        ),
    ),
)

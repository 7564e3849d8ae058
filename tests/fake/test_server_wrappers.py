"""The wrappers around the server's side of a session."""

from __future__ import annotations

import json
from collections.abc import Iterable

from pytest_realtime_asr import dialects
from pytest_realtime_asr.fake.frame_edits import Event
from pytest_realtime_asr.fake.server_state import ServerState
from pytest_realtime_asr.fake.server_wrappers import EventChanger

OPENAI = dialects.load("openai")


def test_an_event_changer_may_send_several_events_for_one() -> None:
    class Doubling(EventChanger):
        def change(self, content: Event) -> Iterable[Event]:
            return (content, content)

    server = Doubling(OPENAI.server(["m"]), ServerState(OPENAI, ["m"]))
    (update,) = OPENAI.caller("m", {}).configure()
    replies = server.hear(update).replies
    assert [json.loads(reply)["type"] for reply in replies] == 2 * ["session.updated"]

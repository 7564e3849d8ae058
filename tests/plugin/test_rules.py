"""The requirements are checked in every session of every test."""

from __future__ import annotations

from tests.support.project import Faking, Project, of_vllm

TEST = """
def test_it(realtime, corpus):
    realtime.transcribe([corpus["turn-right"]] * 2, concurrency=2)

@pytest.mark.realtime(rules="off")
def test_off(realtime, corpus):
    realtime.transcribe(corpus["turn-right"])
"""


@of_vllm
def test_a_violated_requirement_fails_the_test(
    project: Project, faulty: Faking
) -> None:
    project.write(TEST)
    url = faulty("lost-delta")
    result = project.run("--junitxml=out.xml", target=url)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "rule deltas-add-up*, in 2 sessions; *; documented field: delta of "
            "transcription.delta: a string, text of transcription.done: a string; see "
            "docs/protocols/vllm.md#deltas-add-up",
            "  trace: *000-turn-right.jsonl",
            "  session sess-*",
            "  >  * server  *transcription.done*",
        ]
    )
    found = project.properties()
    assert found["test_it"]["realtime.violations"] == "deltas-add-up"
    project.run("--realtime-rules=off", target=url).assert_outcomes(passed=2)


@of_vllm
def test_each_wrong_field_is_named_once_over_the_sessions(
    project: Project, faulty: Faking
) -> None:
    project.write(TEST)
    url = faulty("half-greeting", "half-usage")
    result = project.run("--realtime-traces=kept", target=url)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "rule well-formed ?MUST?: session.created: `created` is missing in 2 "
            "sessions; it must be an integer of 64 bits; transcription.done: "
            "`usage.prompt_tokens` is missing in 2 sessions; it must be an integer *"
        ]
    )
    result.stdout.no_fnmatch_line("*times), in *")


RAW = """
def test_it(realtime_session):
    assert realtime_session.id
"""


@of_vllm
def test_a_session_without_an_utterance_has_a_trace_too(
    project: Project, faulty: Faking
) -> None:
    project.write(RAW)
    result = project.run("--realtime-traces=kept", target=faulty("half-greeting"))
    result.stdout.fnmatch_lines(
        ["rule well-formed *", "  trace: kept/*.jsonl", "*>     1 *session.created*"]
    )
    (kept,) = (project.path / "kept").rglob("*.jsonl")
    assert "session.created" in kept.read_text()


@of_vllm
def test_should(project: Project, faulty: Faking) -> None:
    project.write(TEST)
    url = faulty("novelty")
    must = project.run(target=url).parseoutcomes()
    should = project.run("--realtime-rules=should", target=url).parseoutcomes()
    assert should == {"failed": 2}  # above the marker
    assert must in ({"passed": 2}, {"passed": 1, "failed": 1})


@of_vllm
def test_frames_sent_by_hand_cause_no_violation(project: Project) -> None:
    project.write(
        """
def test_it(realtime_session, corpus):
    realtime_session.send_raw('{"type": ')
    assert realtime_session.expect("error").code == "invalid_json"
    realtime_session.send_raw({"type": "nonsense"})
    realtime_session.send_raw(b"binary")
    realtime_session.expect("error")
    assert realtime_session.expect("error").code == "invalid_frame"
    assert realtime_session.transcribe(corpus["turn-right"]).text
    assert realtime_session.violations == ()
"""
    )
    project.run("--realtime-rules=should").assert_outcomes(passed=1)


KNOWN = """
[[known]]
id = "deltas-add-up"
reason = "a delta is lost"
issue = "https://example.org/1"
until = 2999-12-31
version = "<0.34"
"""


@of_vllm
def test_a_known_failure_fails_no_test(project: Project, faulty: Faking) -> None:
    project.write(TEST)
    (project.path / "known.toml").write_text(KNOWN)
    url = faulty("lost-delta")
    known = "--realtime-known-failures=known.toml"
    result = project.run(known, "--realtime-report=out.jsonl", target=url)
    result.assert_outcomes(passed=2)
    result.stdout.no_fnmatch_line("*rule deltas-add-up*")
    # It is seen all the same.
    assert all(
        row["violations"][0].startswith("deltas-add-up [INFO]: ")
        for row in project.rows()
    )
    newer = "--realtime-server-version=0.34"
    project.run(known, newer, target=url).assert_outcomes(passed=1, failed=1)


@of_vllm
def test_a_pinned_suite_judges_every_session(project: Project, faulty: Faking) -> None:
    project.write(TEST)
    url = faulty("lost-delta")
    result = project.run("--realtime-suite=vllm-2026.11", target=url)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["rule deltas-add-up*, in 2 sessions; *"])

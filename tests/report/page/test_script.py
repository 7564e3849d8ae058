"""The page in a browser: filter, order, keyboard, pointer, hostile texts and sizes."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.transcription import Transcription
from pytest_realtime_asr.report import jsonl, trend_page
from pytest_realtime_asr.report.page import chunks
from pytest_realtime_asr.report.page.appender import session_line
from pytest_realtime_asr.verdicts.trend import trend
from tests.support.nights import nights
from tests.support.pages import (
    RUN,
    VERDICT,
    complaints,
    head,
    hidden_columns,
    opened,
    page,
)
from tests.support.servers import CLIP, took

ROW = ".row[tabindex='0']"


@pytest.fixture(scope="module")
def take(loop: Loop) -> Transcription:
    return took(loop)


@pytest.fixture(scope="module")
def ten(tmp_path_factory: pytest.TempPathFactory, take: Transcription) -> Path:
    """A page of ten sessions with finals from 100 to 109 ms and a limit of 104.5."""
    path = tmp_path_factory.mktemp("page") / "ten.html"
    path.write_bytes(page(take, 10))
    return path


def names(tab: Any) -> list[str]:
    found: list[str] = tab.locator(".row .c-utterance").all_inner_texts()
    return found


def quoted(text: str) -> str:
    """A text as the timeline quotes it, isolated from the direction around it."""
    return f'"\u2068{text}\u2069"'


def test_filter_and_order(browser: Any, ten: Path) -> None:
    with opened(browser, ten) as tab:
        assert names(tab)[0] == "clip-0009"  # the worst is the first
        tab.locator("button", has_text="final").click()
        tab.locator("button", has_text="final").click()
        assert names(tab) == [f"clip-{number:04}" for number in range(10)]
        tab.fill("#filter", "clip-0003")
        assert names(tab) == ["clip-0003"]
        assert tab.inner_text("#shown") == "1 of 10 sessions"
        assert "replayed" not in tab.inner_text("main")
        tab.fill("#filter", "")
        tab.select_option("#state", "over limit")
        assert sorted(names(tab)) == [f"clip-{number:04}" for number in range(5, 10)]


def test_every_session_is_reached_by_the_keyboard(browser: Any, ten: Path) -> None:
    with opened(browser, ten) as tab:
        order = names(tab)
        tab.focus(ROW)
        seen = []
        for _ in order:
            seen.append(tab.evaluate("document.activeElement.children[1].textContent"))
            tab.keyboard.press("Enter")
            tab.wait_for_selector("dialog[open] .timeline")
            assert tab.inner_text("#session-title").startswith(seen[-1])
            tab.keyboard.press("Escape")
            tab.wait_for_selector("dialog:not([open])", state="attached")
            tab.keyboard.press("ArrowDown")
        assert seen == order


def test_the_timeline_is_read_by_keyboard_and_pointer(browser: Any, ten: Path) -> None:
    with opened(browser, ten) as tab:
        tab.locator(".row").first.click()
        tab.focus(".timeline")
        tab.keyboard.press("Home")
        told: list[str] = []
        while not told or tab.inner_text(".readout") != told[-1]:
            told.append(tab.inner_text(".readout"))
            assert len(told) < 500
            tab.keyboard.press("ArrowRight")
        text = "\n".join(told)
        assert f"final: {quoted(CLIP.text)}" in text
        assert all(f"said {quoted(word.text)}" in text for word in CLIP.words)
        assert "frame 0 received: session.created" in text
        assert text.count("partial: ") == len(CLIP.text.split())
        # The line of the final crosses all lanes; its label is in the lane of finals.
        line = tab.locator(".at.final").first.bounding_box()
        label = tab.locator("svg text.strong", has_text="final").bounding_box()
        tab.mouse.move(line["x"] + line["width"] / 2, label["y"] + label["height"] / 2)
        assert f"final: {quoted(CLIP.text)}" in tab.inner_text(".readout")
        box = tab.locator("rect.word").first.bounding_box()
        tab.mouse.move(box["x"] + box["width"] / 2, box["y"] + 5)
        assert f"said {quoted(CLIP.words[0].text)}" in tab.inner_text(".readout")


def test_a_hostile_text_is_shown_as_plain_text(
    browser: Any, tmp_path: Path, take: Transcription
) -> None:
    text = (
        "</script><img src=x onerror=document.title='broken'> \u202eesrever "
        + "w" * 100_000
    )
    spoken = replace(take, utterance=replace(CLIP, id=f"<b>{text[:40]}", text=text))
    line = jsonl.line("<i>t</i>", spoken, RUN)
    path = tmp_path / "hostile.html"
    path.write_bytes(head() + session_line(line, spoken))
    with opened(browser, path, viewport={"width": 360, "height": 700}) as tab:
        tab.locator(".row").first.click()
        tab.wait_for_selector(".timeline")
        assert tab.title() == "Realtime ASR report"
        assert tab.locator("img, b, i").count() == 0
        assert "\u202e" not in tab.inner_text("body")
        assert "onerror" in tab.inner_text("dialog")
        assert hidden_columns(tab) == 0


def test_a_print_has_every_session_or_only_the_open_one(
    browser: Any, tmp_path: Path, take: Transcription
) -> None:
    path = tmp_path / "many.html"
    path.write_bytes(page(take, 120))
    with opened(browser, path) as tab:
        assert tab.locator(".row").count() < 80
        tab.emulate_media(media="print")
        tab.evaluate("window.dispatchEvent(new Event('beforeprint'))")
        assert tab.locator(".row").count() == 120
        last = tab.locator(".row").last
        assert last.bounding_box()["y"] > tab.locator("h2").first.bounding_box()["y"]
        cut = "(each) => each.scrollHeight - each.clientHeight"
        assert tab.locator(".scroller").evaluate(cut) == 0
        tab.emulate_media(media="screen")
        tab.evaluate("window.dispatchEvent(new Event('afterprint'))")
        assert tab.locator(".row").count() < 80
        tab.locator(".row").first.click()
        tab.wait_for_selector("dialog[open] .timeline")
        tab.emulate_media(media="print")
        assert tab.locator("main").is_hidden()
        assert tab.locator("dialog .alignment").is_visible()
        title = tab.locator("#session-title").bounding_box()
        assert title["y"] + tab.evaluate("window.scrollY") >= 0


def test_the_labels_of_a_narrow_timeline_do_not_overlap(
    browser: Any, ten: Path
) -> None:
    with opened(browser, ten, viewport={"width": 360, "height": 800}) as tab:
        tab.locator(".row").first.click()
        tab.wait_for_selector("dialog[open] .timeline")
        drawn = tab.locator(".timeline .label.strong")
        assert "final" in drawn.all_text_contents()
        boxes = [each.bounding_box() for each in drawn.all()]
        boxes.sort(key=lambda box: box["x"])
        for left, right in pairwise(boxes):
            assert left["x"] + left["width"] <= right["x"]


def test_a_session_has_two_lines_on_a_telephone(browser: Any, ten: Path) -> None:
    with opened(browser, ten, viewport={"width": 390, "height": 800}) as tab:
        boxes = [row.bounding_box() for row in tab.locator(".row").all()]
        assert len(boxes) == 10
        for above, below in pairwise(boxes):
            assert above["y"] + above["height"] <= below["y"]
        first = tab.locator(".row").first
        final, text = (first.locator(f".c-{name}") for name in ("final", "text"))
        assert final.bounding_box()["y"] < text.bounding_box()["y"]
        assert text.bounding_box()["width"] > 300  # the whole width of the row
        tab.focus(ROW)
        tab.keyboard.press("End")
        last = tab.locator(".row").last.bounding_box()
        scroller = tab.locator(".scroller").bounding_box()
        bottom = scroller["y"] + scroller["height"]
        assert last["y"] + last["height"] <= bottom + 1


def test_a_long_reason_is_folded(browser: Any, tmp_path: Path, ten: Path) -> None:
    long = {**VERDICT, "subject": "requirement", "reason": "word " * 400}
    path = tmp_path / "long.html"
    path.write_bytes(ten.read_bytes() + chunks.block("verdict", long) + b"\n")
    with opened(browser, path) as tab:
        table = tab.locator("section[aria-labelledby=verdicts]")
        folded = table.locator("details.long")
        before = folded.bounding_box()["height"]
        folded.locator("summary").click()
        assert folded.bounding_box()["height"] > 2 * before


def test_a_session_over_a_limit_that_passes_is_no_failure(
    browser: Any, tmp_path: Path, take: Transcription
) -> None:
    path = tmp_path / "passes.html"
    verdict = {**VERDICT, "statistic": "p50", "verdict": "PASS", "fails": False}
    path.write_bytes(page(take, 10, verdict=verdict))
    with opened(browser, path) as tab:
        states = tab.locator(".row .c-state").all_inner_texts()
        assert states == ["over, allowed"] * 5 + ["ok"] * 5
        tab.locator(".row").first.click()
        assert "the test passes" in tab.inner_text(".causes")


def test_the_sessions_of_each_limit_are_drawn(
    browser: Any, tmp_path: Path, ten: Path, take: Transcription
) -> None:
    """A test with another limit has a drawing of its own, of its own sessions only."""
    other = session_line(jsonl.line("other", take, RUN), take)
    limit = {**VERDICT, "test": "other", "limit": 500.0, "statistic": "p95"}
    path = tmp_path / "two.html"
    path.write_bytes(ten.read_bytes() + other + chunks.block("verdict", limit))
    with opened(browser, path) as tab:
        part = tab.locator("section[aria-labelledby=latency] figure")
        told = [text for text in part.all_inner_texts() if "final_from_commit" in text]
        assert [text.split("\n")[1].split(",")[0] for text in told] == [
            *("10 sessions", "1 session")
        ]
        assert told[1].split("\n")[2] == "other"
        drawn = part.locator("svg[aria-label^=final_from_commit]").all()
        labels = [str(each.get_attribute("aria-label")) for each in drawn]
        assert [label.split("; ")[1] for label in labels] == [
            *("max <= 105 ms", "p95 <= 500 ms")  # 104.5 is rounded
        ]


def test_a_replayed_run_is_marked(browser: Any, tmp_path: Path, ten: Path) -> None:
    path = tmp_path / "replayed.html"
    told = b'"run":"20261129T181500Z-3fa2c1"'
    text = ten.read_bytes()
    assert text.count(told) == 1
    text = text.replace(told, told + b',"replayed":true')
    verdict = chunks.block("verdict", {**VERDICT, "replayed": True})
    path.write_bytes(text.replace(chunks.block("verdict", VERDICT), verdict))
    with opened(browser, path) as tab:
        assert "replayed" in tab.inner_text("header .notice")
        assert "FAIL, replayed" in tab.inner_text("section[aria-labelledby=verdicts]")


def test_the_sections_are_named_at_the_top(browser: Any, ten: Path) -> None:
    with opened(browser, ten) as tab:
        links = tab.locator("nav a")
        titles = tab.locator("section h2").all_inner_texts()
        assert links.all_inner_texts() == titles
        for link in links.all():
            assert tab.locator(link.get_attribute("href")).count() == 1


def test_a_comparison_has_the_units_of_its_metrics(
    browser: Any, tmp_path: Path, ten: Path
) -> None:
    change = {**VERDICT, "subject": "change", "statistic": "change", "unit": "ratio"}
    late = {**change, "before": 255.02, "now": 503.66, "value": 0.97, "limit": 0.1}
    wrong = {**change, "metric": "wer", "before": 0.05, "now": 0.07, "value": 0.02}
    wrong |= {"limit": None, "verdict": None, "reason": "worse", "n": 10}
    path = tmp_path / "compared.html"
    blocks = [
        chunks.block("verdict", {**each, "against": "night.jsonl"})
        for each in (wrong, {**late, "interval": [-0.01, 0.99]})
    ]
    path.write_bytes(ten.read_bytes() + b"".join(blocks))
    with opened(browser, path) as tab:
        part = tab.locator("section[aria-labelledby=comparison]")
        assert "Compared with night.jsonl." in part.inner_text()
        rows = [
            line.split("\t") for line in part.locator("tbody").inner_text().split("\n")
        ]
        assert rows[0][1:7] == [
            *("final_from_commit", "255 ms", "504 ms", "+97.0 %", "at most +10.0 %"),
            "-1.0 % to +99.0 %",
        ]
        assert rows[1][:5] == ["not judged", "wer", "5.0 %", "7.0 %", "+2.0 pp, worse"]


def test_a_capacity_is_drawn_with_its_interval(
    browser: Any, tmp_path: Path, ten: Path
) -> None:
    finals = {"p50": 200.0, "p95": 300.0, "max": 400.0, "n": 40}
    binding = {"name": "final_from_commit p95", "limit": 600.0, "over": 1, "n": 40}
    level = {"test": "t", "decision": "PASS", "lost": 0, "binding": binding}
    level |= {"finals": finals, "client": {"late_ms": 1.0}, "step": "double"}
    found = {**VERDICT, "subject": "capacity", "metric": "capacity", "test": "t"}
    found |= {"statistic": "streams", "unit": "count", "value": 8.0, "limit": None}
    found |= {
        "interval": [8, 11],
        "verdict": "PASS",
        "reason": "capacity: 8 streams, a cliff",
    }
    path = tmp_path / "capacity.html"
    path.write_bytes(
        ten.read_bytes()
        + chunks.block("level", {**level, "streams": 8})
        + chunks.block("level", {**level, "streams": 16, "decision": "FAIL"})
        + chunks.block("verdict", found)
    )
    with opened(browser, path) as tab:
        part = tab.locator("section[aria-labelledby=capacity]")
        assert "capacity: 8 streams, a cliff" in part.inner_text()
        assert "capacity 8 (8 to 11)" in part.locator("svg").text_content()
        assert part.locator("svg .cross").count() == 1
        box, line = (
            part.locator(f"svg .{name}").bounding_box() for name in ("band", "curve")
        )
        # The curve goes from 8 to 16 streams; the interval is its first three eighths.
        assert box["x"] == pytest.approx(line["x"], abs=3)
        assert box["width"] == pytest.approx(line["width"] * 3 / 8, abs=5)


def test_a_failed_test_without_a_verdict_is_named(
    browser: Any, tmp_path: Path, ten: Path
) -> None:
    names = [VERDICT["test"], "test_it.py::test_crash"]
    path = tmp_path / "crash.html"
    path.write_bytes(ten.read_bytes() + chunks.block("end", {"failed": names}))
    with opened(browser, path) as tab:
        part = tab.locator("section[aria-labelledby=result]").inner_text()
        assert "tests that fail\n2\n" in part
        assert "by an assertion or a crash: test_it.py::test_crash\n" in part


def test_the_page_of_the_suite_alone(browser: Any, tmp_path: Path) -> None:
    entry: dict[str, object] = {
        "id": "one-final",
        "level": "must",
        "status": "violated",
        "title": "t",
    }
    entry |= {"clause": "c", "seen": "two finals", "expected": "", "scenarios": []}
    entry |= {"trace": "", "page": "", "lines": ["> 27 server done"]}
    suite = {"planned": 138, "requirements": [entry, {**entry, "status": "satisfied"}]}
    path = tmp_path / "suite.html"
    failed = ["realtime_conformance/test_requirements.py::test_requirement[one-final]"]
    end = chunks.block("end", {"failed": failed})
    path.write_bytes(head() + chunks.block("conformance", suite) + end)
    with opened(browser, path) as tab:
        assert "without a verdict" not in tab.inner_text("main")
        assert tab.locator("nav a").all_inner_texts() == [
            *("Result", "Conformance", "Conditions")
        ]
        cards = tab.locator(".card.bad").all_inner_texts()
        assert [" ".join(each.split()) for each in cards] == [
            *("tests that fail 1", "requirements violated 1")
        ]
        assert "> 27 server done" in tab.inner_text("details[open]")


@pytest.mark.parametrize(
    ("text", "direction"),
    [("\u0645\u0646 \u0641\u0636\u0644\u0643", "rtl"), ("\u53f3\u306b", "ltr")],
    ids=["arabic", "japanese"],
)
def test_a_text_is_shown_in_its_writing_direction(
    browser: Any, tmp_path: Path, take: Transcription, text: str, direction: str
) -> None:
    """The words of Arabic begin on the right; the names of the columns do not move."""
    spoken = replace(take, utterance=replace(CLIP, text=text, words=()))
    path = tmp_path / "direction.html"
    path.write_bytes(head() + session_line(jsonl.line("t", spoken, RUN), spoken))
    with opened(browser, path) as tab:
        tab.locator(".row").first.click()
        words = tab.locator("dialog .alignment")
        assert words.evaluate("(each) => getComputedStyle(each).direction") == direction
        assert text.split()[0] in words.inner_text()
        body = "getComputedStyle(document.body).direction"
        assert tab.evaluate(body) == "ltr"
        assert "does not say when each word" in tab.inner_text("dialog")


def test_the_page_of_a_killed_run(
    browser: Any, tmp_path: Path, take: Transcription
) -> None:
    line = session_line(jsonl.line("t", take, RUN), take)
    path = tmp_path / "killed.html"
    path.write_bytes(head() + line + line[:200])  # killed while it wrote a row
    with opened(browser, path) as tab:
        assert len(names(tab)) == 1
        notices = tab.locator(".notice").all_inner_texts()
        assert any("has not ended, or it was killed" in each for each in notices)
        assert any(each.startswith("1 incomplete part") for each in notices)


def test_the_trend_is_shown(browser: Any, tmp_path: Path, ten: Path) -> None:
    path = tmp_path / "trend.html"
    drawn = trend_page.part(trend(nights(0.2)), level=3)
    path.write_bytes(ten.read_bytes() + chunks.fragment("trend", drawn))
    with opened(browser, path) as tab:
        part = tab.locator("section[aria-labelledby=trend]")
        assert part.locator("svg").count() == 3
        assert "worse from 06.jsonl on" in part.inner_text()


def test_a_browser_without_decompression_has_the_table(browser: Any, ten: Path) -> None:
    context = browser.new_context()
    context.add_init_script("delete window.DecompressionStream")
    tab = context.new_page()
    tab.goto(ten.as_uri())
    assert len(names(tab)) == 10
    assert "cannot decompress" in tab.inner_text(".notice")
    tab.locator(".row").first.click()
    assert "cannot be shown" in tab.inner_text("dialog")
    context.close()


@pytest.mark.parametrize(
    "scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)]
)
def test_axe_finds_nothing_serious(browser: Any, ten: Path, scheme: str) -> None:
    with opened(browser, ten, color_scheme=scheme, bypass_csp=True) as tab:
        assert complaints(tab) == []
        tab.locator(".row").first.click()
        tab.wait_for_selector(".timeline")
        assert complaints(tab) == []


@pytest.mark.slow
def test_many_sessions(browser: Any, tmp_path: Path, take: Transcription) -> None:
    took = {}
    for count in (200, 2_000):
        path = tmp_path / f"{count}.html"
        path.write_bytes(page(take, count))
        begun = time.monotonic()
        with opened(browser, path) as tab:
            drawn = time.monotonic()
            tab.focus(ROW)
            tab.keyboard.press("End")
            last = tab.evaluate("document.activeElement.getAttribute('aria-rowindex')")
            assert int(last) == count + 1
            assert tab.locator(".row").count() < 80
            took[count] = drawn - begun, time.monotonic() - drawn
    assert (tmp_path / "200.html").stat().st_size < 2_000_000
    # Ten times the sessions: at most ten times the time, and scrolling is as fast.
    assert took[2_000][0] < 10 * took[200][0]
    assert took[2_000][1] < 10 * took[200][1]


def test_a_block_of_an_unknown_kind_is_ignored(
    browser: Any, tmp_path: Path, ten: Path
) -> None:
    path = tmp_path / "newer.html"
    path.write_bytes(ten.read_bytes() + chunks.block("newer", {"a": 1}))
    with opened(browser, path) as tab:
        assert len(names(tab)) == 10

"""Measure the word error rate of ``reference`` in noise, for `docs/guide/noise.md`.

It takes some minutes: all English clips are sent to the reference server under each
perturbation. ``make_noise.py REPORT...`` draws earlier reports instead.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_realtime_asr.report import jsonl
from pytest_realtime_asr.stats import bootstrap
from pytest_realtime_asr.verdicts.utterance_record import UtteranceRecord

PAGE = Path(__file__).parents[1] / "docs" / "guide" / "noise.md"
FIGURE = PAGE.with_suffix(".svg")
BEGIN, END = "<!-- made by tools/make_noise.py -->\n", "<!-- end -->\n"
RATIOS = (40, 35, 30, 25, 20, 15, 10)  # dB
SEEDS = (1, 2, 3)
KINDS = {"noise": "white noise", "babble": "babble"}
OTHERS = {
    "telephone": "telephone line",
    "packet-loss:1%": "1 % of packets lost",
    "packet-loss:5%": "5 % of packets lost",
    "reverberation:300ms": "room, RT60 of 300 ms",
    "clipping:10%": "10 % of the samples clipped",
    "speed:110%": "10 % faster",
}
TEST = """
import pytest
from pytest_realtime_asr.perturb import chain

@pytest.mark.parametrize("text", {texts})
def test_perturbed(realtime, corpus, text):
    chosen = chain.apply(corpus, [text] if text else [])
    realtime.transcribe(chosen, concurrency=2)
"""
INI = """[pytest]
asyncio_default_fixture_loop_scope = function
realtime_target = reference
realtime_pace = 8
realtime_rules = off
realtime_report = {report}
"""


def main() -> int:
    """Measure, or read the reports that are named, and write page and figure."""
    if len(sys.argv) > 1:
        rates = read(*map(Path, sys.argv[1:]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            rates = read(measured(Path(folder)))
    before, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(before + BEGIN + tables(rates) + END + rest.partition(END)[2])
    FIGURE.write_text(figure(rates))
    return 0


# Measuring


def texts() -> list[str]:
    """Return every chain that is measured; the first is empty."""
    noisy = [f"{k}:{r}dB:seed={s}" for k in KINDS for r in RATIOS for s in SEEDS]
    return ["", *noisy, *OTHERS]


def measured(folder: Path) -> Path:
    """Send the corpus under each perturbation and return the report."""
    report = folder / "noise.jsonl"
    (folder / "pytest.ini").write_text(INI.format(report=report))
    (folder / "test_noise.py").write_text(TEST.format(texts=texts()))
    subprocess.run([sys.executable, "-m", "pytest", folder], cwd=folder, check=True)
    return report


@dataclass(frozen=True, slots=True)
class Rate:
    """A word error rate with its 95 % confidence interval."""

    rate: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{100 * self.rate:.0f} % ({100 * self.low:.0f}-{100 * self.high:.0f})"


def read(*reports: Path) -> dict[str, Rate]:
    """Return the rate of each perturbation, without its seed, by its text."""
    rows: dict[str, list[UtteranceRecord]] = {}
    for row in (row for report in reports for row in jsonl.read(report)):
        text = row.test.partition("[")[2].removesuffix("]").partition(":seed=")[0]
        rows.setdefault(text, []).append(row)
    return {text: pooled(each) for text, each in rows.items()}


def pooled(rows: Sequence[UtteranceRecord]) -> Rate:
    """Return the rate over all rows; a clip is drawn with all its seeds."""
    wrong = [row.errors.wrong for row in rows]
    words = [row.errors.reference for row in rows]
    low, high = bootstrap(wrong, words, blocks=[row.clip for row in rows], seed=0)
    return Rate(sum(wrong) / sum(words), low, high)


# Page and figure


def tables(rates: dict[str, Rate]) -> str:
    """Return the tables of the page."""
    lines = [
        f"| SNR | {' | '.join(KINDS.values())} |",
        "|---|---|---|",
        f"| no noise | {rates['']} | {rates['']} |",
    ]
    for ratio in RATIOS:
        cells = (str(rates[f"{kind}:{ratio}dB"]) for kind in KINDS)
        lines.append(f"| {ratio} dB | {' | '.join(cells)} |")
    lines += ["", "| perturbation | | WER |", "|---|---|---|"]
    lines += [f"| `{t}` | {name} | {rates[t]} |" for t, name in OTHERS.items()]
    return "\n".join(["", *lines, "", ""])


WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 660, 420, 64, 44, 130, 56
MOST = 1.25  # the highest rate of the figure; words may also be inserted
COLOURS = {"noise": "#0b5cad", "babble": "#b3470b"}


def place(ratio: float, rate: float) -> tuple[float, float]:
    """Return where a point of the figure lies, in pixels."""
    across = (max(RATIOS) - ratio) / (max(RATIOS) - min(RATIOS))
    x = LEFT + across * (WIDTH - LEFT - RIGHT)
    up = min(rate, MOST) / MOST
    return round(x, 1), round(HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM), 1)


def figure(rates: dict[str, Rate]) -> str:
    """Return the figure: error rate over SNR, as SVG with plain text."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" role="img" font-family="sans-serif" '
        'font-size="13">',
        "<title>Word error rate of the reference server over the SNR</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        *axes(),
        *clean(rates[""].rate),
    ]
    for kind, name in KINDS.items():
        parts += curve([rates[f"{kind}:{ratio}dB"] for ratio in RATIOS], kind, name)
    return "\n".join([*parts, "</svg>", ""])


def axes() -> Iterable[str]:
    """Yield the grid and its labels."""
    (left, bottom), (right, top) = place(max(RATIOS), 0), place(min(RATIOS), MOST)
    for share in (0, 0.25, 0.5, 0.75, 1, 1.25):
        _, y = place(0, share)
        yield f'<path d="M{left} {y}H{right}" stroke="#ddd"/>'
        yield text(left - 8, y + 4, f"{share:.0%}", anchor="end")
    for ratio in RATIOS:
        x, _ = place(ratio, 0)
        yield f'<path d="M{x} {bottom}v5" stroke="#444"/>'
        yield text(x, bottom + 20, f"{ratio}")
    yield f'<path d="M{left} {bottom}H{right}" stroke="#444"/>'
    yield text((left + right) / 2, bottom + 42, "SNR over the speech, dB")
    yield text(left, top - 18, "word error rate", anchor="start")


def clean(rate: float) -> Iterable[str]:
    """Yield the line of the rate without noise."""
    (left, y), (right, _) = place(max(RATIOS), rate), place(min(RATIOS), rate)
    yield f'<path d="M{left} {y}H{right}" stroke="#444" stroke-dasharray="5 4"/>'
    yield text(right + 8, y + 4, f"no noise: {rate:.0%}", anchor="start")


def curve(rates: Sequence[Rate], kind: str, name: str) -> Iterable[str]:
    """Yield the curve of one kind of noise, with the interval of each point."""
    colour = COLOURS[kind]
    aside = 3 if kind == "babble" else -3  # so that the intervals do not overlap
    points = [place(at, each.rate) for at, each in zip(RATIOS, rates, strict=True)]
    path = "L".join(f"{x + aside} {y}" for x, y in points)
    yield f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
    for (x, y), each in zip(points, rates, strict=True):
        high, low = place(0, each.high)[1], place(0, each.low)[1]
        yield f'<path d="M{x + aside} {high}V{low}" stroke="{colour}"/>'
        yield f'<circle cx="{x + aside}" cy="{y}" r="4" fill="{colour}"/>'
    x, y = WIDTH - RIGHT + 14, TOP + 20 * list(KINDS).index(kind)
    yield f'<circle cx="{x}" cy="{y}" r="4" fill="{colour}"/>'
    yield text(x + 12, y + 4, name, anchor="start", fill=colour)


def text(
    x: float, y: float, words: str, *, anchor: str = "middle", fill: str = "#222"
) -> str:
    """Return a text of the figure."""
    return (
        f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" fill="{fill}">{words}</text>'
    )


if __name__ == "__main__":
    sys.exit(main())

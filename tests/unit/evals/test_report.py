from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from bethink.errors import UsageError
from bethink.evals.chart import Point, cost_chart, pareto
from bethink.evals.comparing import compare_folders
from bethink.evals.export import lm_eval
from bethink.evals.measure import default_folder, write_report
from bethink.evals.report import page
from bethink.evals.results import Line, read_settings
from bethink.evals.stats import Estimate
from bethink.evals.summary import power_lines, summarise

from .conftest import Measure

HOSTILE = '</div></details><script>alert(1)</script><img src="http://x/y" onerror=alert(1)>&amp;\x00\ud800'
VOID = {"meta", "input", "br", "link", "img", "line", "circle", "path", "rect", "i"}


class Page(HTMLParser):
    """Every tag closed in order, and what a browser would fetch or run."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.outside: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        self.outside += [tag] if tag in {"script", "link", "img", "iframe", "object", "base"} else []
        self.outside += [name for name in names if name.startswith("on") or name in {"src", "href"}]
        if tag not in {"meta", "input", "br"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in {"meta", "input", "br"}:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(html: str) -> Page:
    parser = Page()
    parser.feed(html)
    parser.close()
    assert parser.open == []
    return parser


@pytest.fixture
def lines(measured: Measure) -> Sequence[Line]:
    return measured("plain, vote:4, budget:64")


def test_the_folder_holds_summary_and_report(lines: Sequence[Line], tmp_path: Path) -> None:
    assert lines
    summary = json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))
    assert list(summary["arms"]) == ["plain", "vote:4", "budget:64"]
    plain = summary["arms"]["plain"]
    assert plain["n"] == 6
    assert plain["lenient"]["value"] == pytest.approx(5 / 6)
    assert plain["lenient"]["low"] < 5 / 6 < plain["lenient"]["high"]
    assert plain["tokens"] > 0
    assert {(c["a"], c["b"]) for c in summary["comparisons"]} == {
        ("plain", "vote:4"), ("plain", "budget:64"), ("vote:4", "budget:64"),
    }  # fmt: skip
    assert (tmp_path / "out" / "report.html").stat().st_size > 5000


def test_the_page_needs_nothing_and_is_well_formed(lines: Sequence[Line], tmp_path: Path) -> None:
    html = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    found = read(html)
    assert found.outside == []
    assert "default-src 'none'" in html
    assert not re.search(r"https?://", html)
    assert f"What is 10 + {len(lines) // 3 - 1} ?" in found.text


def test_what_a_model_writes_stays_text(lines: Sequence[Line], tmp_path: Path) -> None:
    hostile = [
        replace(
            line, question=HOSTILE, gold=HOSTILE, answer=HOSTILE, thinking=HOSTILE, extracted=HOSTILE, why=HOSTILE,
            closed_by=HOSTILE, error=HOSTILE if line.index == 1 else None,
        )
        for line in lines
    ]  # fmt: skip
    settings = read_settings(tmp_path / "out") | {"task": HOSTILE, "command": HOSTILE, "notes": [HOSTILE]}
    html = page(summarise(hostile, settings), hostile)
    found = read(html)
    assert found.outside == []
    assert "alert(1)" in found.text


def test_names_of_arms_are_escaped_in_pictures() -> None:
    svg = cost_chart([Point(HOSTILE, 10, Estimate(0.5, 0.4, 0.6), 0), Point("b", 20, Estimate(0.5, 0.4, 0.6), 1)], "x")
    assert read(svg).outside == []


def test_one_arm_without_a_right_answer_is_drawn() -> None:
    assert "circle" in cost_chart([Point("a", 10, Estimate(0.0, 0.0, 0.0), 0)], "tokens")
    assert cost_chart([Point("a", 0, Estimate(1.0, 1.0, 1.0), 0)], "tokens") == ""


def test_the_front_holds_what_nothing_beats() -> None:
    def at(name: str, cost: float, right: float) -> Point:
        return Point(name, cost, Estimate(right, right, right), 0)

    points = [at("dear", 9, 0.5), at("cheap", 1, 0.4), at("beaten", 2, 0.3), at("best", 5, 0.5), at("same", 1, 0.2)]
    assert [p.name for p in pareto(points)] == ["cheap", "best"]


def test_long_texts_are_cut_and_the_page_says_so(lines: Sequence[Line], tmp_path: Path) -> None:
    long = [replace(line, answer="x" * 2_000_000) for line in lines]
    html = page(summarise(long, read_settings(tmp_path / "out")), long)
    assert len(html) < 20_000_000
    assert "results.jsonl has them whole" in html


def test_power_is_told_where_no_difference_is_shown(lines: Sequence[Line]) -> None:
    summary = summarise(lines, {"arms": ["plain", "vote:4", "budget:64"]})
    (line,) = power_lines(summary.comparisons)
    assert line.startswith("these 6 questions cannot show a difference under 47 points (plain and vote:4; ")


def test_two_measurements_are_paired_by_question(measured: Measure, tmp_path: Path) -> None:
    measured("plain, vote:4")
    (tmp_path / "out").rename(tmp_path / "a")
    measured("plain, budget:64")
    found = compare_folders(tmp_path / "a", tmp_path / "out")
    assert [(c.a, c.b, c.lenient.n, c.lenient.difference.value) for c in found.pairs] == [("plain", "plain", 6, 0.0)]
    assert (found.n_only_a, found.n_only_b) == (0, 0)


def test_the_export_has_the_harness_shape(lines: Sequence[Line], tmp_path: Path) -> None:
    settings = read_settings(tmp_path / "out")
    found = lm_eval(summarise(lines, settings))
    scores = found["results"]["sums/plain"]
    assert scores["exact_match,strict-match"] == scores["exact_match,flexible-extract"] == pytest.approx(5 / 6)
    assert found["n-samples"]["sums/plain"] == {"original": 6, "effective": 6}
    write_report(tmp_path / "out", export="lm-eval")
    assert json.loads((tmp_path / "out" / "lm-eval.json").read_text(encoding="utf-8")) == found


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        write_report(tmp_path)


def test_the_default_folder_tells_what_is_in_it() -> None:
    assert str(default_folder("rg:a/b", "qwen:0.5b", 50, 7)) == "eval-rg-a-b-qwen-0.5b-50q-seed7"

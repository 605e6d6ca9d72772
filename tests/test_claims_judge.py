"""Claims: a bound means what it says, nothing passes for a result, and goals may be missed."""

import json
import math

import pytest

from course_utils import claims, runtime
from course_utils.runtime import CourseError

STATED = """
[[claim]]
id = "ae.error"
says = "a small error"
metric = "squared error per test image"
bound = "< 40"
judged = "always"

[[claim]]
id = "ae.full"
says = "a smaller one"
metric = "squared error per test image"
bound = "< 20"
judged = "full"

[[claim]]
id = "ae.goal"
says = "smaller still"
metric = "squared error per test image"
bound = "<= 10"
judged = "always"
kind = "goal"
"""


@pytest.fixture
def stated(tmp_path, monkeypatch):
    """State three claims in a folder of their own; return it."""
    (tmp_path / "01.toml").write_text(STATED)
    monkeypatch.setattr(claims, "folder", lambda: tmp_path)
    monkeypatch.setattr(runtime, "_data_in_use", "mnist")
    monkeypatch.setenv("COURSE_PROFILE", "full")
    return tmp_path


@pytest.mark.parametrize(
    ("bound", "met", "missed"),
    [
        ("< 3", [2.9, -7], [3, 3.1]),
        ("<= 3", [2.9, 3], [3.1]),
        ("> -0.5", [-0.4, 2], [-0.5, -1]),
        (">= 0.98", [0.98, 1], [0.97]),
        ("0.1 .. 0.2", [0.1, 0.15, 0.2], [0.09, 0.21]),
        ("< 1e-3", [1e-4], [1e-2]),
    ],
)
def test_bounds(bound, met, missed):
    assert all(claims.within(value, bound) for value in met)
    assert not any(claims.within(value, bound) for value in missed)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("bound", ["< 3", "> 3", "0 .. 1"])
def test_no_bound_is_met_by_what_is_no_number(value, bound):
    claim = claims.Claim("id", "says", "metric", bound, "always", "01")
    assert not claim.met(value)


def test_a_claim_that_holds(stated, capsys):
    claims.judge("ae.error", 39.5)
    assert capsys.readouterr().out == "✓ ae.error: 39.5 < 40 (full, mnist)\n"


@pytest.mark.parametrize("value", [40.0, 41.0, math.nan, math.inf])
def test_a_claim_that_does_not_hold_stops_the_notebook(stated, capsys, value):
    with pytest.raises(claims.ClaimMissed, match=r"ae\.error is .*, not < 40: a small error"):
        claims.judge("ae.error", value)
    assert capsys.readouterr().out.startswith("✗ ae.error: ")


def test_a_goal_may_be_missed_and_says_so(stated, capsys):
    claims.judge("ae.goal", 12.0)
    claims.judge("ae.goal", 10.0)
    missed, met = capsys.readouterr().out.splitlines()
    assert missed.startswith("✗ ae.goal: 12") and met.startswith("✓ ae.goal: 10")


def test_full_claims_are_judged_in_full_and_on_real_data_only(stated, capsys, monkeypatch):
    claims.judge("ae.full", 15)
    runtime.use_data("drawn digits")
    claims.judge("ae.full", 99)
    runtime.use_data("mnist")
    monkeypatch.setenv("COURSE_PROFILE", "quick")
    claims.judge("ae.full", 99)
    judged, drawn, quick = capsys.readouterr().out.splitlines()
    assert judged.startswith("✓ ae.full: 15 < 20")
    assert drawn == quick == "– ae.full: judged in full"


def test_an_unknown_claim_is_refused(stated):
    with pytest.raises(CourseError, match=r"'ae\.gone' is not stated"):
        claims.judge("ae.gone", 1)


def test_records_are_written_only_when_asked(stated, tmp_path, monkeypatch):
    claims.judge("ae.error", 39.5)
    assert not list(tmp_path.glob("*.json"))
    monkeypatch.setenv("COURSE_RECORD", str(tmp_path))
    claims.judge("ae.error", 39.123456789, spread=0.5, n=3)
    record = json.loads((tmp_path / "01.json").read_text())["ae.error"]
    assert (record["value"], record["spread"], record["n"]) == (39.1235, 0.5, 3)
    assert (record["profile"], record["data"]) == ("full", "mnist")


def test_check_judges_the_records(stated):
    def states(values):
        (stated / "01.json").write_text(json.dumps({i: {"value": v} for i, v in values.items()}))
        verdicts = claims.check(stated)
        return [v.state for v in verdicts], [v.acceptable for v in verdicts]

    all_met = {"ae.error": 39, "ae.full": 19, "ae.goal": 10}
    assert states(all_met) == (["met"] * 3, [True] * 3)
    assert states(all_met | {"ae.full": 21, "ae.goal": 11}) == (
        ["met", "failed", "missed"], [True, False, True])  # fmt: skip
    assert states({"ae.error": 39}) == (
        ["met", "unrecorded", "unrecorded"], [True, False, False])  # fmt: skip
    with pytest.raises(CourseError, match=r"recorded but not stated: ae\.gone"):
        states(all_met | {"ae.gone": 1})


@pytest.mark.parametrize(
    "change",
    [
        ('bound = "< 40"', 'bound = "about 40"'),
        ('bound = "< 40"', 'bound = "< 40 or so"'),
        ('judged = "full"', 'judged = "sometimes"'),
        ('kind = "goal"', 'kind = "wish"'),
        ('kind = "goal"', 'kinds = "goal"'),
        ('says = "a small error"', ""),
        ("[[claim]]", "[[claim]"),
    ],
)
def test_a_faulty_statement_is_refused(stated, change):
    (stated / "01.toml").write_text(STATED.replace(*change, 1))
    with pytest.raises(CourseError, match="01"):
        claims.load(stated)


def test_a_claim_stated_twice_is_refused(stated):
    (stated / "02.toml").write_text(STATED)
    with pytest.raises(CourseError, match=r"'ae\.error' is stated twice"):
        claims.load(stated)

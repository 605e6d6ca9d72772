"""Claims: bounds are read exactly, judged honestly, recorded on request, and rerun."""

import json
import math
import shutil

import nbformat
import numpy as np
import pytest
import torch
from commands import course, refused

from course_utils import claims, provenance, runtime
from course_utils.runtime import CourseError

STATEMENTS = """
[[claim]]
id = "a.small"
says = "A is small."
metric = "error per image"
bound = "< 2.5"
judged = "always"
recipes = ["ae"]

[[claim]]
id = "a.full"
says = "B lies between."
metric = "accuracy"
bound = "0.5 .. 0.75"
judged = "full"

[[claim]]
id = "a.goal"
says = "C would be fine."
metric = "error per image"
bound = "<= 75"
judged = "always"
kind = "goal"
"""


@pytest.fixture
def stated(tmp_path, monkeypatch):
    """Put three claims into a folder of their own; return the folder."""
    folder = tmp_path / "claims"
    folder.mkdir()
    (folder / "07.toml").write_text(STATEMENTS)
    monkeypatch.setattr(claims, "folder", lambda: folder)
    provenance.forget()
    provenance.use_data("mnist")
    yield folder
    provenance.forget()


def recorded(folder, **values) -> None:
    """Record values for the claims a.NAME."""
    rows = {
        f"a.{name}": {"value": value, "spread": None, "n": None, "profile": "full",
                      "data": "mnist", "device": "cpu", "versions": {}, "date": "2026-11-01"}
        for name, value in values.items()
    }  # fmt: skip
    (folder / "07.json").write_text(json.dumps(rows))


# ------------------------------------------------------------------------------------------ bounds


@pytest.mark.parametrize(
    ("bound", "met", "missed"),
    [
        ("< 3", [2.999, -7, 0], [3, 3.001]),
        ("<= 3", [3, -1], [3.0001]),
        ("> 0.5", [0.51, 7], [0.5, 0.4]),
        (">= -1.5", [-1.5, 0], [-1.51]),
        ("1e-3 .. 2", [0.001, 1, 2], [0.0009, 2.001]),
        ("-2 .. -1", [-2, -1.5], [-0.9, 1.5]),
    ],
)
def test_bounds(bound, met, missed):
    assert all(claims.within(value, bound) for value in met)
    assert not any(claims.within(value, bound) for value in missed)


def test_no_bound_is_met_by_what_is_no_number(stated):
    for claim in claims.load().values():
        assert not any(claim.met(value) for value in (math.nan, math.inf, -math.inf))


def test_statements_are_read_with_their_chapter(stated):
    found = claims.load()
    assert list(found) == ["a.small", "a.full", "a.goal"]
    assert found["a.small"].recipes == ("ae",) and found["a.small"].chapter == "07"
    assert found["a.small"].kind == "claim" and found["a.goal"].kind == "goal"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('bound = "< 2.5"', 'bound = "about 2.5"'),
        ('bound = "< 2.5"', 'bound = "<2.5"'),
        ('bound = "< 2.5"', "bound = 2.5"),
        ('bound = "0.5 .. 0.75"', 'bound = "0.75 .. 0.5"'),
        ('recipes = ["ae"]', 'recipes = "ae"'),
        ('recipes = ["ae"]', "recipes = [1]"),
        ('judged = "full"', 'judged = "sometimes"'),
        ('kind = "goal"', 'kind = "hope"'),
        ('kind = "goal"', 'stated = "later"'),
        ('kind = "goal"', 'data = "mnits"'),
        ('kind = "goal"', 'chapter = "08"'),
        ('kind = "goal"', 'colour = "red"'),
        ('says = "A is small."', ""),
        ('"a.full"', '"a.small"'),
        ("[[claim]]", "[[claim"),
        (STATEMENTS, 'claim = ["a.small"]'),
    ],
)
def test_statements_that_cannot_be_read_are_refused(stated, before, after):
    """The message names the file and, where one is wrong, the field."""
    assert before in STATEMENTS
    (stated / "07.toml").write_text(STATEMENTS.replace(before, after, 1))
    field = after.partition(" ")[0] or "says"
    named = field if field.isalpha() else ""
    with pytest.raises(CourseError, match=rf"(?s)07\.toml.*{named}"):
        claims.load()
    assert "07.toml" in refused("claims")


# ----------------------------------------------------------------------------------------- judging


def test_a_met_claim_prints_its_line(stated, capsys):
    claims.judge("a.small", 1.23456)
    claims.judge("a.small", 1, spread=0.0271, n=5)
    assert capsys.readouterr().out.splitlines() == [
        "✓ a.small: 1.235 < 2.5 (quick, mnist)",
        "✓ a.small: 1 ± 0.027 (5 seeds) < 2.5 (quick, mnist)",
    ]


@pytest.mark.parametrize("value", [2.5, 100, math.nan])
def test_a_missed_claim_stops_the_notebook(stated, capsys, value):
    with pytest.raises(claims.ClaimMissed, match="A is small"):
        claims.judge("a.small", value)
    assert capsys.readouterr().out.startswith("✗ a.small")


def test_a_missed_goal_is_said_and_no_error(stated, capsys):
    claims.judge("a.goal", 80)
    assert capsys.readouterr().out == "✗ a.goal: 80, expected <= 75 (quick, mnist)\n"


def test_a_full_claim_is_not_judged_in_quick(stated, capsys):
    claims.judge("a.full", 99)
    assert capsys.readouterr().out == "– a.full: judged in full\n"


def test_a_claim_about_two_sets_wants_both(stated, capsys, monkeypatch):
    monkeypatch.setenv("COURSE_PROFILE", "full")
    about = STATEMENTS.replace('"0.5 .. 0.75"', '"0.5 .. 0.75"\ndata = "mnist, fashion-mnist"')
    (stated / "07.toml").write_text(about)
    claims.judge("a.full", 99)  # mnist alone was loaded
    assert capsys.readouterr().out == "– a.full: judged in full, on mnist, fashion-mnist\n"


@pytest.mark.parametrize(
    "used",
    [
        [],
        [("drawn digits", False)],
        [("drawn digits", True)],  # whatever it is called real
        [("mnist", False)],  # a stand-in under the name of the real thing
        [("fashion-mnist", True), ("drawn digits", False)],
    ],
)
def test_a_full_claim_is_judged_on_its_own_data_alone(stated, capsys, monkeypatch, used):
    monkeypatch.setenv("COURSE_PROFILE", "full")
    provenance.forget()
    for name, real in used:
        provenance.use_data(name, real=real)
    claims.judge("a.full", 99)
    assert capsys.readouterr().out == "– a.full: judged in full, on mnist\n"


@pytest.mark.parametrize(
    ("data", "used", "shown"),
    [
        ("mnist", ["mnist", "fashion-mnist"], "mnist"),  # whatever was loaded last
        ("fashion-mnist", ["fashion-mnist", "mnist"], "fashion-mnist"),
        ("mnist, fashion-mnist", ["fashion-mnist", "mnist"], "mnist, fashion-mnist"),
        ("drawn faces", ["drawn faces"], "drawn faces"),  # a collection that is meant to be drawn
        ("points", ["drawn digits"], "points"),
        ("none", [], "no data"),
    ],
)
def test_a_claim_is_judged_and_recorded_on_the_data_that_it_names(
    stated, capsys, monkeypatch, tmp_path, data, used, shown
):
    monkeypatch.setenv("COURSE_PROFILE", "full")
    monkeypatch.setenv("COURSE_RECORD", str(tmp_path))
    about = STATEMENTS.replace('judged = "full"', f'judged = "full"\ndata = "{data}"')
    (stated / "07.toml").write_text(about)
    provenance.forget()
    for name in used:
        provenance.use_data(name, real=not name.startswith("drawn"))
    claims.judge("a.full", 0.6)
    assert capsys.readouterr().out == f"✓ a.full: 0.6 in 0.5 .. 0.75 (full, {shown})\n"
    assert claims.records(tmp_path)["a.full"]["data"] == shown
    with pytest.raises(claims.ClaimMissed):
        claims.judge("a.full", 0.8)


@pytest.mark.parametrize("stated_when", ["before", "after"])
def test_when_a_claim_was_stated_is_said(stated, capsys, stated_when):
    about = STATEMENTS.replace('judged = "always"', f'judged = "always"\nstated = "{stated_when}"')
    (stated / "07.toml").write_text(about)
    claims.judge("a.small", 1)
    assert capsys.readouterr().out == f"✓ a.small: 1 < 2.5 (quick, mnist; stated {stated_when})\n"


def test_a_refuted_expectation_is_said_and_no_error(stated, capsys):
    (stated / "07.toml").write_text(STATEMENTS.replace('kind = "goal"', 'kind = "expectation"'))
    claims.judge("a.goal", 80)
    assert capsys.readouterr().out == "✗ a.goal: 80, expected <= 75 (quick, mnist)\n"
    recorded(stated, small=1.0, full=0.6, goal=80)
    result = course("claims", "--check")
    assert result.exit_code == 0 and "○ a.goal" in result.stdout
    assert "(an expectation)" in result.stdout


def test_an_unknown_claim(stated):
    with pytest.raises(CourseError, match=r"a\.other"):
        claims.judge("a.other", 1)


# --------------------------------------------------------------------------------------- recording


def test_a_judged_value_is_recorded_on_request_only(stated, tmp_path, monkeypatch):
    claims.judge("a.small", 1)
    assert list(tmp_path.rglob("*.json")) == []
    monkeypatch.setenv("COURSE_RECORD", str(tmp_path / "records"))
    claims.judge("a.goal", 80)
    claims.judge("a.small", 1.23456789, spread=0.0123456, n=5)
    found = claims.records(tmp_path / "records")
    assert list(found) == ["a.small", "a.goal"]  # in the order of the statements
    small = found["a.small"]
    assert (small["value"], small["spread"], small["n"]) == (1.23457, 0.0123, 5)
    assert (small["data"], small["profile"]) == ("mnist", "quick")
    assert small["versions"] == runtime.versions()


CUDA = {"device": "cuda (T4)", "versions": {"torch": "2.11.0", "python": "3.13"}}
CPU = {"device": "cpu (EPYC)", "versions": {"torch": "2.15.0"}}


def record_of(id, tmp_path, monkeypatch) -> dict:
    """Judge a claim as 1, and return its record."""
    monkeypatch.setenv("COURSE_RECORD", str(tmp_path / "records"))
    claims.judge(id, 1)
    return claims.records(tmp_path / "records")[id]


def test_a_record_names_the_device_of_the_runs_behind_it(stated, tmp_path, monkeypatch):
    """Of those that the statement names; not the device on which the notebook computes."""
    provenance.use_device("mps")
    for seed in (0, 1):
        provenance.use_run("ae", seed, **CUDA)
    provenance.use_run("vae", 0, **CPU)
    found = record_of("a.small", tmp_path, monkeypatch)
    assert found["device"] == "cuda (T4)" and found["versions"] == CUDA["versions"]
    provenance.use_run("ae", 1, **CPU)
    found = record_of("a.small", tmp_path, monkeypatch)
    assert found["device"] == "cuda (T4) and cpu (EPYC)"
    assert found["versions"] == {"torch": "2.11.0 and 2.15.0", "python": "3.13"}


def test_variants_of_a_recipe_are_told_apart(stated, tmp_path, monkeypatch):
    """Both are behind the value, and one that is stale spoils it."""
    provenance.use_run("ae", 0, **CUDA, folder="wide")
    provenance.use_run("ae", 0, **CPU, folder="narrow")
    assert record_of("a.small", tmp_path, monkeypatch)["device"] == "cuda (T4) and cpu (EPYC)"
    provenance.use_run("ae", 0, **CUDA, stale="of old", folder="wide")
    with pytest.raises(CourseError, match="stale run of ae"):
        claims.judge("a.small", 1)


def test_a_record_without_runs_names_the_device_of_the_measurement(stated, tmp_path, monkeypatch):
    provenance.use_device("cuda (H100)")
    found = record_of("a.goal", tmp_path, monkeypatch)
    assert found["device"] == "cuda (H100)" and found["versions"] == provenance.versions()


def test_nothing_is_recorded_from_a_stale_run(stated, tmp_path, monkeypatch, capsys):
    provenance.use_run("ae", 0, **CPU)
    provenance.use_run("ae", 1, **CPU, stale="its loss has changed")
    with pytest.raises(CourseError, match=r"stale run of ae, seed 1 [(]its loss has changed"):
        record_of("a.small", tmp_path, monkeypatch)
    with pytest.raises(CourseError, match=r"a\.goal may rest on a stale run"):
        claims.judge("a.goal", 1)  # which names no run, and may use it all the same
    assert not (tmp_path / "records").exists()
    monkeypatch.delenv("COURSE_RECORD")
    claims.judge("a.small", 1)  # a reader may look at it all the same
    assert capsys.readouterr().out.splitlines()[-1].startswith("✓ a.small")


def test_a_claim_that_was_not_judged_leaves_no_record(stated, tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_RECORD", str(tmp_path / "records"))
    claims.judge("a.full", 0.6)
    assert not (tmp_path / "records").exists()


# ------------------------------------------------------------------------------------- the command


def test_check_passes_when_all_are_recorded_and_met_or_goals(stated):
    recorded(stated, small=1.0, full=0.6, goal=80)
    result = course("claims", "--check")
    assert result.exit_code == 0 and "3 claims, 3 in order" in result.stdout
    marks = [line.split()[:2] for line in result.stdout.splitlines()[:3]]
    assert marks == [["✓", "a.small"], ["✓", "a.full"], ["○", "a.goal"]]


@pytest.mark.parametrize(
    ("values", "bad"),
    [({"small": 2.5, "full": 0.6, "goal": 1}, "a.small"), ({"small": 1, "goal": 1}, "a.full")],
    ids=["a missed claim", "no record"],
)
def test_check_fails(stated, values, bad):
    recorded(stated, **values)
    assert course("claims").exit_code == 0  # a list, no check
    result = course("claims", "--check")
    assert result.exit_code == 1 and bad in result.stderr


def test_some_claims_are_listed_and_checked_by_their_ids(stated):
    recorded(stated, small=1.0, full=0.4)
    listed = course("claims", "a.small", "a.g*").stdout.splitlines()
    assert [line.split()[1] for line in listed[:-1]] == ["a.small", "a.goal"]
    assert course("claims", "a.small", "--check").exit_code == 0
    assert course("claims", "a.*", "--check").exit_code == 1
    assert "'a.nothing' is unknown" in refused("claims", "a.small", "a.nothing")


def test_json_is_a_list_of_flat_records(stated):
    recorded(stated, small=1.0)
    rows = json.loads(course("claims", "--json").stdout)
    assert [row["id"] for row in rows] == ["a.small", "a.full", "a.goal"]
    assert len({tuple(row) for row in rows}) == 1
    assert not any(isinstance(value, (list, dict)) for row in rows for value in row.values())
    assert rows[0]["value"] == 1.0 and rows[0]["state"] == "met" and rows[1]["value"] is None
    help_text = " ".join(course("claims", "--help").stdout.split())
    assert all(key in help_text for key in rows[0])


def test_records_that_nobody_stated_or_can_read_are_refused(stated):
    recorded(stated, other=1)
    assert "a.other" in refused("claims", "--check")
    (stated / "07.json").write_text("{")
    assert "07.json" in refused("claims")


def test_the_claims_of_the_book_can_be_read():
    """Every recipe that a claim names exists, so that it can be rerun."""
    from course_utils import recipes

    for claim in claims.load().values():
        assert all(name in recipes.names() for name in claim.recipes), claim.id


# ------------------------------------------------------------------------------------ running again


@pytest.fixture
def chapter(stated, tmp_path, monkeypatch):
    """Write a chapter that judges a.small, recorded as 1.0; return its file."""
    from course_tools.chapters import stored as notebooks

    folder = tmp_path / "notebooks"
    folder.mkdir()
    code = [
        "import os\nfrom pathlib import Path\nfrom course_utils import claims, provenance",
        f"raise_in_other_claims = Path({str(tmp_path / 'absent')!r}).read_text()",
        "def measure():\n"
        f"    claims.folder = lambda: Path({str(stated)!r})\n"
        "    provenance.use_data('mnist')\n"
        "    runs = '\\n'.join(sorted(os.listdir(os.environ['COURSE_RUNS'])))\n"
        f"    Path({str(tmp_path / 'seen')!r}).write_text(runs)\n"
        "    return 1.0",
        "value = measure()",
        "claims.judge('a.small', value)",
    ]
    cells = [nbformat.v4.new_code_cell(line) for line in code]
    path = folder / "07_chapter.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    monkeypatch.setattr(notebooks, "FOLDER", folder)
    recorded(stated, small=1.0)
    return path


def keep_runs(folder, *names) -> None:
    """Put empty finished runs into a folder."""
    for name in names:
        (folder / name).mkdir(parents=True)
        (folder / name / "run.json").write_text("{}")


def test_rerun_does_what_the_claim_rests_on_without_the_kept_runs(chapter, stated, runs, tmp_path):
    """The chapter's other cells are not executed: one of them would fail."""
    keep_runs(runs, "ae-full-s0-0123456789", "ae_wide-full-s0-0123456789", "vae-full-s1-0123456789")
    before = chapter.read_bytes(), (stated / "07.json").read_bytes()
    result = course("claims", "--rerun", "a.small")
    assert result.exit_code == 0, result.output
    assert "training ae, then 4 of 5 cells of 07_chapter.ipynb" in result.stdout
    assert "recorded  1 " in result.stdout and "reproduced in" in result.stdout
    seen = (tmp_path / "seen").read_text().splitlines()
    assert seen == ["ae_wide-full-s0-0123456789", "vae-full-s1-0123456789"]
    assert (chapter.read_bytes(), (stated / "07.json").read_bytes()) == before
    assert len(list(runs.glob("*/run.json"))) == 3  # the links went, the runs did not
    result = course("claims", "--rerun", "a.small", "--whole")
    assert result.exit_code == 1 and "code cell 2 of 5 failed" in result.stderr


def test_rerun_tells_when_the_value_is_another(chapter, runs, monkeypatch):
    from course_tools.chapters import execute

    def judges_otherwise(nb, path, profile, judged, seconds):
        assert (path, profile) == (chapter, "full")
        judged.mkdir()
        fresh = {"a.small": {"value": 1.5, "device": "cpu", "date": "2026-11-02"}}
        (judged / "07.json").write_text(json.dumps(fresh))

    monkeypatch.setattr(execute, "run_cells", judges_otherwise)
    result = course("claims", "--rerun", "a.small")
    assert result.exit_code == 1 and "NOT reproduced" in result.stdout
    assert "now       1.5 " in result.stdout
    monkeypatch.setattr(execute, "run_cells", lambda *args: None)
    assert "did not judge 'a.small'" in refused("claims", "--rerun", "a.small")


@pytest.fixture
def measured(stated, monkeypatch):
    """Record ten claims; let a rerun take no time and tell which were measured, and how."""
    from course_tools.chapters import rerun

    names = [f"n{i}" for i in range(10)]
    text = "".join(STATEMENTS.split("[[claim]]\n")[1].join(["[[claim]]\n", ""]).replace("a.small",
                   f"a.{name}") for name in names)  # fmt: skip
    (stated / "07.toml").write_text(text)
    recorded(stated, **dict.fromkeys(names, 1.0))
    calls = []

    def measure(id, tolerance, whole=False, runs=None, seconds=None):
        calls.append((id, sorted(path.name for path in runs.iterdir()), seconds))
        return rerun.Comparison(f"{id} reproduced", id != "a.n3")

    monkeypatch.setattr(rerun, "rerun", measure)
    return calls


def test_a_sample_is_drawn_at_random_and_measured(measured, runs):
    """The same seed draws the same; their recipes' kept runs are not there for any of them."""
    keep_runs(runs, "ae-full-s0-0123456789", "vae-full-s1-0123456789")
    outputs = [course("claims", "--sample", "4", "--seed", seed).stdout for seed in "001"]
    assert outputs[0] == outputs[1] != outputs[2]
    drawn = [[id for id, *_ in measured[start : start + 4]] for start in (0, 4, 8)]
    assert drawn[0] == drawn[1] and len(set(drawn[0])) == 4
    assert all(links == ["vae-full-s1-0123456789"] for _, links, _ in measured)
    assert all(0 < seconds <= 30 * 60 for *_, seconds in measured)
    every = course("claims", "--sample", "99")
    assert every.exit_code == 1  # a.n3 among them is another
    assert len({id for id, *_ in measured[12:]}) == 10


def test_a_sample_ends_with_its_minutes(measured, monkeypatch):
    from course_tools.chapters import execute, rerun

    result = course("claims", "--sample", "3", "--minutes", "0")
    assert result.exit_code == 0 and measured == []
    assert result.stdout.count("not measured in its share of 0.0 minutes") == 3
    measure, slow = rerun.rerun, []

    def takes_long(id, *args, **options):
        if not slow:
            slow.append(id)
            raise execute.OutOfTime
        return measure(id, *args, **options)

    monkeypatch.setattr(rerun, "rerun", takes_long)
    result = course("claims", "--sample", "2", "--minutes", "10")
    said = f"{slow[0]}: not measured in its share of 5.0 minutes"
    assert result.exit_code == 0 and said in result.stdout
    assert len(measured) == 1 and 590 < measured[0][2] < 600  # what the first one left


def test_what_cannot_be_sampled(stated):
    assert "1 or more" in refused("claims", "--sample", "0")
    assert "one of them" in refused("claims", "--sample", "1", "--rerun", "a.small")


def comparison(value, record, tolerance=0.02, bound="< 2.5"):
    """Compare a fresh value with a record of the claim a.small."""
    from course_tools.chapters import rerun

    claim = claims.Claim("a.small", "A is small.", "error", bound, "always", "07")
    rest = {"device": "cpu", "date": "2026-11-01"}
    return rerun.compare(claim, record | rest, {"value": value} | rest, tolerance).agrees


def test_a_rerun_may_differ_by_three_spreads_or_the_tolerance():
    assert comparison(1.29, {"value": 1.0, "spread": 0.1})
    assert not comparison(1.31, {"value": 1.0, "spread": 0.1})
    assert comparison(1.04, {"value": 1.0, "spread": None})  # 2 % of the bound, 2.5
    assert not comparison(1.06, {"value": 1.0, "spread": None})
    assert comparison(1.06, {"value": 1.0, "spread": None}, tolerance=0.1)
    assert not comparison(2.6, {"value": 2.4, "spread": 1.0})  # near, but no longer met
    assert comparison(1e-7, {"value": 0.0, "spread": None}, bound="< 0.001")


def test_what_cannot_be_rerun(stated):
    assert "unknown" in refused("claims", "--rerun", "a.other")
    assert "no record" in refused("claims", "--rerun", "a.small")


def test_rerun_needs_a_clone(stated, monkeypatch):
    from course_utils import commands

    monkeypatch.setattr(commands, "in_clone", lambda: False)
    assert "clone" in refused("claims", "--rerun", "a.small")


def test_runs_are_copied_where_links_are_not_allowed(tmp_path, monkeypatch):
    from course_tools.chapters import rerun

    def forbidden(*args, **options):
        raise OSError("no links here")

    keep_runs(tmp_path / "kept", "vae-full-s1-0123456789")
    monkeypatch.setattr(rerun.os, "symlink", forbidden)
    rerun.link_runs(tmp_path / "kept", tmp_path / "runs", ("ae",))
    assert (tmp_path / "runs" / "vae-full-s1-0123456789" / "run.json").is_file()
    shutil.rmtree(tmp_path / "runs")
    assert (tmp_path / "kept" / "vae-full-s1-0123456789" / "run.json").is_file()


def test_over_runs_is_numpys_mean_and_deviation():
    values = [3.0, 4.5, 7.25]
    found = claims.over_runs(torch.tensor(v) for v in values)
    assert found == {
        "value": pytest.approx(np.mean(values)),
        "spread": pytest.approx(np.std(values, ddof=1)),
        "n": 3,
    }
    assert claims.over_runs([2]) == {"value": 2.0, "spread": None, "n": 1}


# ----------------------------------------------------------------------------------------- damage


def test_a_record_that_was_changed_is_told_from_what_was_measured(tmp_path):
    """Every number and word of it counts; records from before there were hashes are read."""
    known = {"a.b": {"value": 1.25, "spread": None, "n": 3, "device": "cpu"}, "c.d": {"value": 2.0}}
    path = tmp_path / "07.json"
    path.write_text(claims.as_json(known), encoding="utf-8")
    assert claims.records(tmp_path) == known
    text = path.read_text(encoding="utf-8")
    for old, new in (("1.25", "1.26"), ("cpu", "gpu"), ("3", "5"), ("a.b", "a.c"), ("2.0", "2.5")):
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        with pytest.raises(CourseError, match=r"the record of .* is not what was measured"):
            claims.records(tmp_path)
    path.write_text(json.dumps(known), encoding="utf-8")
    assert claims.records(tmp_path) == known


def test_the_committed_records_are_what_was_measured():
    for path in claims.folder().glob("*.json"):
        assert path.read_text(encoding="utf-8") == claims.as_json(claims.read_records(path))

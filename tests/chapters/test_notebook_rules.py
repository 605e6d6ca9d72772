"""Every chapter obeys the rules, and every rule notices what it is there for."""

from __future__ import annotations

from dataclasses import replace

import nbformat
import pytest
from making import DESCRIBED, code, drawing, figure, printed, result, settle
from nbformat.v4 import new_output

from course_tools.chapters import claim_rules, rules, stored
from course_tools.chapters.cells import code_cells


@pytest.mark.parametrize(
    "path", [*stored.chapters(), *stored.exercises()], ids=lambda path: path.stem
)
def test_chapter(path):
    """Every stored chapter and exercise is good."""
    found = rules.complaints(stored.read(path))
    assert not found, "\n".join(found)


def test_good(good):
    """The chapter that the tests below spoil is good, so that they see their own fault only."""
    assert rules.complaints(good) == []


def test_a_drawing_is_a_picture(good):
    """A plot that is kept as SVG counts, and must be described, like a PNG."""
    cell = next(cell for cell in code_cells(good.nb) if "curves" in cell.source)
    cell.outputs = [drawing()]
    assert rules.complaints(good) == []
    cell.metadata.mystnb = {}
    assert "alternative text" in "\n".join(rules.complaints(good))


def spoilt(good, change, again=False):
    """Apply `change` to the list of code cells; return the complaints.

    With `again`, number and stamp the notebook anew, as if it had been executed like this.
    """
    change(code_cells(good.nb))
    if again:
        settle(good.nb)
    return rules.complaints(good)


def strip(cells):
    """Remove outputs and counts."""
    for cell in cells:
        cell.outputs, cell.execution_count = [], None


def put(index, **attributes):
    """Return a change: set attributes of one cell."""

    def change(cells):
        for name, value in attributes.items():
            setattr(cells[index], name, value)

    return change


def tagged(index, *tags):
    """Return a change: give one cell these tags."""

    def change(cells):
        cells[index].metadata["tags"] = list(tags)

    return change


def described(alt=DESCRIBED["image"]["alt"], caption=DESCRIBED["figure"]["caption"]):
    """Return a change: describe the figure in other words."""

    def change(cells):
        cells[2].metadata["mystnb"] = {"image": {"alt": alt}, "figure": {"caption": caption}}

    return change


FIGURE, ERROR_CLAIM, TWO_CLAIMS, MEANT_ERROR, IGNORED, SUM = 2, 3, 4, 5, 7, 8  # cells
STDERR = new_output("stream", name="stderr", text="UserWarning: old\n")
WIDGET = new_output(
    "display_data",
    data={"text/plain": "interactive()", "application/vnd.jupyter.widget-view+json": {}},
)
JUDGED = "✓ demo.error: 83.45 ± 0.21 (5 seeds) < 161.9 (full, mnist)"


def error_line(line):
    """Return a change: print another line about demo.error."""
    return put(ERROR_CLAIM, outputs=[printed(line)])


FAULTS = {  # name: (change, part of the complaint, as if executed like this)
    "stripped": (strip, "stripped", False),
    "not executed": (put(SUM, execution_count=None), "execution count None, not 9", False),
    "out of order": (put(SUM, execution_count=12), "execution count 12, not 9", False),
    "empty cell": (put(SUM, source=" ", outputs=[]), "is empty", True),
    "error": (tagged(MEANT_ERROR), "failed with ValueError", False),
    "stderr": (put(SUM, outputs=[STDERR]), "wrote to stderr", False),
    "widget": (put(SUM, outputs=[WIDGET]), "shows a widget", False),
    "home path": (put(SUM, outputs=[printed("in /home/ada/course")]), "path of one machine", False),
    "temporary path": (put(SUM, outputs=[result("'/tmp/ab/run.json'")]), "/tmp/ab", False),
    "work path": (put(SUM, outputs=[printed('File "/work/main/a.py"')]), "/work/main", False),
    "windows path": (put(SUM, outputs=[result(r"C:\Users\ada")]), "path of one machine", False),
    "figure gone": (put(FIGURE, outputs=[figure("")]), "holds no picture", False),
    "described figure gone": (
        put(FIGURE, source="show(history)", outputs=[result("1")]),
        "holds no picture",
        True,
    ),
    "described figure emptied": (put(FIGURE, outputs=[drawing("")]), "holds no picture", False),
    "undescribed figure gone": (
        put(SUM, source="fig, ax = plt.subplots()\nax.plot(x)"),
        "holds no picture",
        True,
    ),
    "two figures": (put(FIGURE, outputs=[figure(), figure()]), "2 pictures", False),
    "no description": (put(SUM, outputs=[figure()]), "has 0 characters", False),
    "short alt": (described(alt="A plot."), "alternative text of its picture has 7", False),
    "no caption": (described(caption=""), "caption of its picture has 0", False),
    "alt is caption": (described(caption=DESCRIBED["image"]["alt"]), "are the same", False),
    "code changed": (put(SUM, source="0 + 1"), "code_sha256", False),
    "line gone": (put(ERROR_CLAIM, outputs=[]), "no line about it", False),
    "forged line": (put(SUM, outputs=[printed("✓ demo.x: 1 < 2 (full, mnist)")]), "does not judge",
                    False),
    "not judged": (error_line("– demo.error: judged in full"), "was not judged", False),
    "other value": (error_line(JUDGED.replace("83.45", "83.46")), "the record 83.4512", False),
    "other spread": (error_line(JUDGED.replace("0.21", "0.2")), "the record 83.4512", False),
    "other seeds": (error_line(JUDGED.replace("5 seeds", "3 seeds")), "the record", False),
    "no spread": (error_line("✓ demo.error: 83.45 < 161.9 (full, mnist)"), "the record", False),
    "other bound": (error_line(JUDGED.replace("161.9", "200")), "is now '< 161.9'", False),
    "other mark": (error_line(JUDGED.replace("✓", "✗")), "record contradicts", False),
    "quick": (error_line(JUDGED.replace("full", "quick")), "another profile or data", False),
    "drawn": (error_line(JUDGED.replace("mnist", "drawn digits")), "another profile", False),
    "stated": (error_line(JUDGED.replace("mnist", "mnist; stated before")), "is now None", False),
    "unreadable": (error_line("✓ demo.error: fine"), "cannot be read", False),
    "not stated here": (
        put(SUM, source='claims.judge("other.error", 1)',
            outputs=[printed("✓ other.error: 1 > 0 (full, mnist)")]),
        "not stated in book/claims/11.toml",
        True,
    ),
    "not judged at all": (
        put(ERROR_CLAIM, source="1", outputs=[result("1")]),
        "but not judged here",
        True,
    ),
    "judged twice": (put(SUM, source='claims.judge("demo.error", 1)', outputs=[printed(JUDGED)]),
                     "is judged 2 times", True),
    "hidden id": (put(SUM, source="claims.judge(id, 1)"), "not written out", True),
    "nbval comment": (put(SUM, source="# NBVAL_IGNORE_OUTPUT\n1 + 1"), "escapes nbval", True),
    "nbval skip": (tagged(SUM, "nbval-skip"), "escapes nbval", False),
    "long cell": (put(SUM, source="\n".join("x = 1" for _ in range(31))), "has 31 lines", True),
    "wide line": (put(SUM, source="# " + "x" * 78), "a line of 80 columns", True),
    "no seed": (put(SUM, source="torch.rand(3)"), "sets no seed before", True),
    "large": (put(SUM, outputs=[result("x" * 3_100_000)]), "has 3.1 MB", False),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_fault(good, name):
    """Each fault is noticed, and named by what is wrong."""
    change, words, again = FAULTS[name]
    assert words in "\n".join(spoilt(good, change, again))


SILENT = {  # name: a change that no rule may mind
    "seed": put(SUM, source="torch.manual_seed(0)\nx = torch.rand(3)"),
    "broken on purpose": put(SUM, source="for in"),
    "shell line": put(SUM, source="!ls\n1 + 1"),
    "figure in a function": put(SUM, source="draw = lambda: plt.plot([1])"),
    "style": put(SUM, source="plt.rcParams['font.size'] = 10\nplt.close('all')"),
    "relative path": put(SUM, outputs=[printed("book/home/x and course_utils/tmp/y")]),
    "address": put(SUM, outputs=[printed("https://example.org/home/page")]),
    "rounded": put(SUM, outputs=[printed("0.5/work")]),
}


@pytest.mark.parametrize("name", SILENT)
def test_no_false_alarm(good, name):
    """What looks like a fault and is none passes."""
    assert spoilt(good, SILENT[name], again=True) == []


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("profile", "quick", "profile 'quick'"),
        ("data", "drawn digits", "executed on 'drawn digits'"),
        ("data_sha256", None, "executed on 'mnist'"),
        ("data", {"mnist": "0" * 64, "drawn garments": "0" * 64}, "executed on 'drawn garments'"),
        ("data", {"mnist": None}, "executed on 'mnist'"),
    ],
)
def test_stamp(good, key, value, words):
    """A stamp must tell of the full profile on real data."""
    good.nb.metadata["course"][key] = value
    assert words in "\n".join(rules.complaints(good))


def test_no_stamp(good):
    """An unstamped notebook is refused."""
    del good.nb.metadata["course"]
    assert any("no stamp" in complaint for complaint in rules.complaints(good))


def test_too_much_ignored(good):
    """A third of the outputs may be ignored, not more; and ten are compared."""
    cells = [cell for cell in code_cells(good.nb) if cell.outputs]
    for cell in cells[-6:]:
        cell.metadata["tags"] = [rules.IGNORE_TAG]
    assert rules.complaints(good) == []  # 7 of 22
    cells[-7].metadata["tags"] = [rules.IGNORE_TAG]
    assert any("8 of 22 cells" in complaint for complaint in rules.complaints(good))


def test_too_little_compared(good):
    """Where few cells have an output, nine compared ones are too few."""
    for cell in code_cells(good.nb)[-12:]:
        cell.outputs = []
    assert any("output of 9 cells" in complaint for complaint in rules.complaints(good))


@pytest.mark.parametrize("count", [24, 41])
def test_number_of_cells(good, count):
    """Chapters have 25 to 40 code cells."""
    good.nb.cells = (good.nb.cells + [code("1", result("1")) for _ in range(20)])[: count + 1]
    settle(good.nb)
    assert f"the notebook has {count} code cells, not 25 to 40" in rules.complaints(good)


def test_long_cells(good):
    """The median cell has fewer than ten lines."""
    for cell in code_cells(good.nb)[-13:]:
        cell.source = "\n".join(["x = 1"] * 10)
    settle(good.nb)
    assert any("half of the code cells" in complaint for complaint in rules.complaints(good))


def change_claim(good, **fields):
    """Change the statement demo.error."""
    good.claims["demo.error"] = replace(good.claims["demo.error"], **fields)


def test_drawn_data_that_a_claim_names_are_no_stand_in(good):
    """Drawn faces are a collection of their own; its claims are recorded on it."""
    good.nb.metadata["course"]["data"] = {"mnist": "0" * 64, "drawn faces": "0" * 64}
    assert any("'drawn faces', not on real" in words for words in rules.complaints(good))
    change_claim(good, data="drawn faces")
    found = "\n".join(rules.complaints(good))
    assert "not on real" not in found and "record of demo.error comes from full, mnist" in found


def test_a_stated_claim_says_so(good):
    change_claim(good, stated="before")
    assert any("as stated None, and is now before" in words for words in rules.complaints(good))
    stated = printed(JUDGED.replace("mnist", "mnist; stated before"))
    assert spoilt(good, put(ERROR_CLAIM, outputs=[stated])) == []


def test_a_refuted_expectation_stays(good):
    """With its mark; a claim may not."""
    good.records["demo.error"]["value"] = 170.0
    refuted = printed("✗ demo.error: 170 ± 0.21 (5 seeds) < 161.9 (full, mnist)")
    found = spoilt(good, put(ERROR_CLAIM, outputs=[refuted]))
    assert found == ["the record of demo.error is 170.0, not < 161.9"]
    change_claim(good, kind="expectation")
    assert rules.complaints(good) == []


def test_a_chapter_of_two_notebooks(good):
    """What the other one judges need not be judged here, and must not be."""
    good.claims["demo.more"] = replace(good.claims["demo.share"], id="demo.more")
    assert any("demo.more is stated" in words for words in rules.complaints(good))
    assert rules.complaints(replace(good, elsewhere=("demo.more",))) == []
    twice = rules.complaints(replace(good, elsewhere=("demo.more", "demo.share")))
    assert twice == ["demo.share is judged in another notebook of the chapter too"]


def test_too_many_claims(good):
    for number in range(claim_rules.CLAIMS - 2):
        id = f"demo.{number}"
        good.claims[id] = replace(good.claims["demo.share"], id=id)
    ids = tuple(f"demo.{number}" for number in range(claim_rules.CLAIMS - 2))
    several = replace(good, elsewhere=ids)
    assert rules.complaints(several) == ["26 claims are stated; 25 are the most: the rest goes "
                                         "into tables"]  # fmt: skip


def test_an_exercise(good):
    """Its outputs are held to the rules, its size and claims are not; quick, on drawn digits."""
    exercise = replace(good, exercise=True, claims={}, records={})
    exercise.nb.cells = exercise.nb.cells[:10]
    settle(exercise.nb)
    exercise.nb.metadata["course"] |= {"profile": "quick", "data": {"drawn digits": "0" * 64}}
    assert rules.complaints(exercise) == []
    exercise.nb.metadata["course"] |= {"profile": "full", "data": {"mnist": "0" * 64}}
    code_cells(exercise.nb)[0].execution_count = 7
    assert len(rules.complaints(exercise)) == 3


RECORD_FAULTS = {  # name: (id, what the record holds instead, part of the complaint)
    "misses": ("demo.error", {"value": 170.0}, "is 170.0, not < 161.9"),
    "moved": ("demo.share", {"value": 0.51}, "the record 0.51"),
    "quick": ("demo.share", {"profile": "quick"}, "comes from quick, mnist"),
    "drawn": ("demo.share", {"data": "drawn digits"}, "comes from full, drawn digits"),
}


@pytest.mark.parametrize("name", RECORD_FAULTS)
def test_record(good, name):
    """A record that misses its bound, moved, or comes from elsewhere is noticed."""
    id, change, words = RECORD_FAULTS[name]
    good.records[id] |= change
    assert words in "\n".join(rules.complaints(good))


def test_no_record(good):
    """A judged claim without a record is noticed."""
    del good.records["demo.goal"]
    assert any("demo.goal has no record" in complaint for complaint in rules.complaints(good))


def test_bound_moved(good):
    """A bound that was moved after the execution is noticed."""
    good.claims["demo.error"] = replace(good.claims["demo.error"], bound="< 100")
    assert any("is now '< 100'" in complaint for complaint in rules.complaints(good))


@pytest.mark.parametrize(
    ("shown", "recorded", "same"),
    [("83.45", 83.4512, True), ("83.45", 83.445, True), ("83.44", 83.445, True),
     ("83.46", 83.4512, False), ("1.235e+04", 12356.0, False), ("1.235e+04", 12345.0, True)],
)  # fmt: skip
def test_rounding(shown, recorded, same):
    """A printed number is compared as printed; a tie may have been rounded either way."""
    assert claim_rules.agrees(shown, recorded, 4) is same


def test_command(capsys, tmp_path, good):
    """The command names file and fault, and exits 1."""
    path = tmp_path / "01_demo.ipynb"
    del good.nb.metadata["course"]
    nbformat.write(good.nb, path)
    assert rules.main([str(path)]) == 1
    assert "01_demo.ipynb: the notebook has no stamp" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("word", "says"),
    [("99", "no chapter is called '99'; there are: 00_"),
     ("exercises/99", "no exercise is called 'exercises/99'"),
     (__file__, "cannot be read as a notebook")],
)  # fmt: skip
def test_what_is_no_notebook_is_told_with_exit_status_2(capsys, word, says):
    assert rules.main([word]) == 2
    assert says in capsys.readouterr().err

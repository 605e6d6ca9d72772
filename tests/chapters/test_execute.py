"""Executing chapters: stamped and clean when all cells ran, untouched otherwise."""

from __future__ import annotations

import json
import shutil

import nbformat
import pytest
from making import DESCRIBED, code
from nbformat.v4 import new_notebook, new_output

from course_tools.chapters import execute, rules, stored
from course_tools.chapters.cells import code_sha256, stdout
from course_utils import claims
from course_utils.runtime import CourseError

SLIDER = """import ipywidgets
import matplotlib.pyplot as plt
def show(a):
    plt.figure(figsize=(2, 1)).add_subplot().plot([0, a])
    plt.show()
ipywidgets.interact(show, a=ipywidgets.FloatSlider(value=1.0, max=2.0));"""
PROGRESS = """from tqdm import tqdm
from tqdm.notebook import tqdm as widget
sum(tqdm(range(3))) + sum(widget(range(3)))"""
SETTINGS = """import os, pathlib
settings = [os.environ.get(name) for name in ("COURSE_PROFILE", "COURSE_PROGRESS", "MPLBACKEND")]
settings[:2], "inline" in settings[2], pathlib.Path.cwd() == pathlib.Path(FOLDER)"""
CLAIM = """from course_utils import claims, provenance
provenance.use_data("mnist", "a" * 64)  # as data.mnist() does with the real thing
claims.judge("ae.loss-by-hand", 0.0)"""


def store(folder, cells, name="01_demo.ipynb"):
    """Write a notebook of these cells; return its path."""
    kernel = {"name": "elsewhere", "display_name": "Another kernel"}
    nb = new_notebook(cells=cells, metadata={"colab": {}, "kernelspec": kernel})
    nb.nbformat_minor = 4
    for cell in nb.cells:
        del cell["id"]
    path = folder / name
    nbformat.write(nb, path)
    return path


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """Return a notebook after its execution with --record, and the record."""
    folder = tmp_path_factory.mktemp("executed")
    records = folder / "claims"
    records.mkdir()
    shutil.copy(claims.folder() / "01.toml", records)
    (records / "01.json").write_text('{"stale": {"value": 1}}')
    cells = [
        code("import random; random.random()", new_output("stream", name="stdout", text="old")),
        code(SETTINGS.replace("FOLDER", repr(str(folder)))),
        code(SLIDER, mystnb=DESCRIBED, tags=["nbval-ignore-output"], collapsed=True),
        code(PROGRESS),
        code("int('seven')", tags=["raises-exception"]),
        code(CLAIM),
    ]
    path = store(folder, cells)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MPLBACKEND", "agg")
        patch.setenv("COURSE_SOURCE", "drawn")
        patch.setattr(claims, "folder", lambda: records)
        assert execute.execute(["01"], record=True, folder=folder) == [path]
    return nbformat.read(path, as_version=4), json.loads((records / "01.json").read_text())


def test_environment(executed):
    """The kernel runs in the notebook's folder, in the profile, with its own plotting."""
    nb, _ = executed
    assert nb.cells[1].outputs[0].data["text/plain"] == "(['full', '0'], True, True)"
    assert [cell.execution_count for cell in nb.cells] == [1, 2, 3, 4, 5, 6]


def test_stamp(executed):
    """The stamp tells profile, data, code, versions, device and seconds."""
    nb, _ = executed
    stamp = nb.metadata.course
    assert (stamp.profile, stamp.data) == ("full", {"mnist": "a" * 64})
    assert stamp.code_sha256 == code_sha256(nb)
    assert {"python", "torch", "numpy"} <= set(stamp.versions)
    assert stamp.device.startswith("cpu") and stamp.seconds > 0


def test_a_verdict_keeps_its_data_for_the_grader_in_check_cells_alone():
    shown = {"text/plain": "right", execute.VERDICT: {"passed": True}}
    cells = [code("check.one(one)", new_output("display_data", dict(shown))) for _ in "ab"]
    cells[1].metadata["tags"] = ["check"]
    nb = new_notebook(cells=cells)
    execute.clean(nb, {})
    kept = [set(cell.outputs[0].data) for cell in nb.cells]
    assert kept == [{"text/plain"}, set(shown)]


def test_clean(executed):
    """A widget leaves its picture, a progress bar nothing, an error its last line."""
    nb, _ = executed
    slider, progress, failure = nb.cells[2:5]
    assert [set(output.data) for output in slider.outputs] == [{"text/plain", "image/png"}]
    assert slider.metadata == {"mystnb": DESCRIBED, "tags": ["nbval-ignore-output"]}
    assert [output.data for output in progress.outputs] == [{"text/plain": "6"}]
    assert failure.outputs[0].traceback == [
        "ValueError: invalid literal for int() with base 10: 'seven'"
    ]
    assert set(nb.metadata) == {"course", "kernelspec", "language_info"}
    assert list(rules.clean_outputs(stored.Notebook(nb, "01", {}, {}))) == []


def test_record(executed):
    """The record holds what this run judged, nothing older."""
    nb, record = executed
    assert set(record) == {"ae.loss-by-hand"} and record["ae.loss-by-hand"]["value"] == 0
    assert stdout(nb.cells[5]) == "✓ ae.loss-by-hand: 0 < 0.001 (full, mnist; stated before)\n"


def test_ids_are_stable(executed):
    """Cells without an id get the same ones every time; those that have one keep it."""
    nb, _ = executed
    again = nbformat.from_dict(json.loads(json.dumps(nb)))
    again.cells.append(nbformat.from_dict(json.loads(json.dumps(nb.cells[0]))))
    for cell in again.cells[1:]:
        cell.pop("id")
    execute.name_cells(again)
    assert [cell.id for cell in again.cells[:6]] == [cell.id for cell in nb.cells]
    assert len({cell.id for cell in again.cells}) == 7


def test_failure_leaves_the_file(tmp_path, capsys, monkeypatch):
    """A cell that fails is shown in short, and the stored notebook stays as it was."""
    path = store(tmp_path, [code("x = 1"), code("def f():\n    return 1 / 0\n\nf()"), code("x")])
    before = path.read_bytes()
    monkeypatch.setattr(stored, "FOLDER", tmp_path)
    monkeypatch.setattr(execute.execute, "__defaults__", ("full", False, tmp_path))
    assert execute.main(["--profile", "quick", "01"]) == 1
    said = capsys.readouterr().err
    assert "01_demo.ipynb: code cell 2 of 3 failed" in said
    assert "    f()" in said and said.rstrip().endswith("ZeroDivisionError: division by zero")
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == [path.name]


def test_user_mistakes(tmp_path, capsys):
    """An unknown name and a record of a quick run are refused in words."""
    assert execute.main(["99_nowhere"]) == 2
    assert "no chapter is called '99_nowhere'" in capsys.readouterr().err
    assert execute.main(["--record", "--profile", "quick"]) == 2
    assert "full profile only" in capsys.readouterr().err


def test_too_large(tmp_path):
    """A notebook of 2 MB is refused."""
    nb = new_notebook(cells=[code("1", new_output("stream", name="stdout", text="x" * 2_000_000))])
    with pytest.raises(CourseError, match=r"01_a.ipynb would have 2.0 MB"):
        execute.refuse_large(nb, tmp_path / "01_a.ipynb")


def test_a_chapter_records_its_own_claims_only(tmp_path):
    (tmp_path / "02.json").write_text("{}")
    nb = new_notebook(cells=[code("claims.judge('ae.test', 1)")])
    with pytest.raises(CourseError, match="judges claims of chapter 02"):
        execute.read_records(tmp_path, tmp_path / "01_a.ipynb", nb)


STATED = """[[claim]]
id = "{id}"
says = "It is small."
metric = "error"
bound = "< 2"
judged = "full"
"""


@pytest.mark.parametrize("data", ["drawn digits", "fashion-mnist"])
def test_claims_left_unjudged_fail_a_full_execution(tmp_path, monkeypatch, data):
    """Their data were not there; in quick, and in an exercise, nothing else is expected."""
    said = new_output("stream", name="stdout", text="– a.b: judged in full, on mnist\n")
    nb, stamp = new_notebook(cells=[code("1", said)]), {"profile": "full", "data": {data: "0"}}
    with pytest.raises(execute.CellFailed, match=rf"the cells used {data}: a\.b"):
        execute.refuse_unjudged(nb, tmp_path / "01_a.ipynb", stamp)
    execute.refuse_unjudged(nb, tmp_path / "01_a.ipynb", stamp | {"profile": "quick"})
    execute.refuse_unjudged(nb, tmp_path / "exercises" / "01_a.ipynb", stamp)


@pytest.fixture
def two_notebooks(tmp_path, monkeypatch):
    """Write two notebooks of chapter 07, one unnumbered, and what they judge; return the folder."""
    folder = tmp_path / "claims"
    folder.mkdir()
    (folder / "07.toml").write_text(STATED.format(id="a.one") + STATED.format(id="a.two"))
    (folder / "scoring.toml").write_text(STATED.format(id="scoring.one"))
    monkeypatch.setattr(claims, "folder", lambda: folder)
    ids = {"07_first": "a.one", "07_second": "a.two", "scoring_generators": "scoring.one"}
    for name, id in ids.items():
        store(tmp_path, [code(f"claims.judge({id!r}, 1)")], f"{name}.ipynb")
    return tmp_path


def test_records_are_kept_by_claims_file(two_notebooks, tmp_path):
    """One notebook of a chapter leaves what the other judged; an unnumbered one has its own."""
    known = {"a.one": {"value": 1}, "a.two": {"value": 2}, "a.old": {"value": 3}}
    (claims.folder() / "07.json").write_text(json.dumps(known))
    judged = tmp_path / "judged"
    judged.mkdir()
    (judged / "07.json").write_text('{"a.one": {"value": 7}}')
    path = tmp_path / "07_first.ipynb"
    found = execute.read_records(judged, path, nbformat.read(path, as_version=4))
    assert found == {"07": claims.as_json({"a.one": {"value": 7}, "a.two": {"value": 2}})}
    path = tmp_path / "scoring_generators.ipynb"
    (judged / "07.json").rename(judged / "scoring.json")
    assert list(execute.read_records(judged, path, nbformat.read(path, as_version=4))) == [
        "scoring"
    ]


def test_an_exercise_is_executed_as_it_is_tested(tmp_path, monkeypatch):
    """Quick and on drawn data, whatever is asked for and whatever the user has set."""
    monkeypatch.setenv("COURSE_DATA", "somewhere")
    (tmp_path / "exercises").mkdir()
    source = "import os; [os.environ[f'COURSE_{n}'] for n in ('PROFILE', 'SOURCE', 'DATA')]"
    path = store(tmp_path / "exercises", [code(source)], "01_widths.ipynb")
    assert execute.execute(["exercises/01"], "full", True, tmp_path) == [path]
    nb = nbformat.read(path, as_version=4)
    assert nb.cells[0].outputs[0].data["text/plain"] == "['quick', 'drawn', '']"
    assert nb.metadata.course.profile == "quick"


def test_cells_may_be_given_seconds(tmp_path):
    """What takes longer is stopped, not waited for."""
    nb = new_notebook(cells=[code("1"), code("import time; time.sleep(60)")])
    with pytest.raises(execute.OutOfTime):
        execute.run_cells(nb, tmp_path / "01_a.ipynb", "quick", None, seconds=2)

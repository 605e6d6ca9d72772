"""Executing chapters: stamped and clean when all cells ran, untouched otherwise."""

from __future__ import annotations

import json

import nbformat
import pytest
from making import DESCRIBED, code
from nbformat.v4 import new_notebook, new_output

from course_tools.chapters import execute, rules
from course_tools.chapters.cells import code_cells, code_sha256, stdout
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
    assert list(rules.clean_outputs(rules.Notebook(nb, "01", {}, {}))) == []


def test_record(executed):
    """The record holds what this run judged, nothing older."""
    nb, record = executed
    assert set(record) == {"ae.loss-by-hand"} and record["ae.loss-by-hand"]["value"] == 0
    assert stdout(nb.cells[5]) == "✓ ae.loss-by-hand: 0 < 0.001 (full, mnist)\n"


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
    monkeypatch.setattr(rules, "FOLDER", tmp_path)
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
    """A notebook of 3 MB is refused."""
    nb = new_notebook(cells=[code("1", new_output("stream", name="stdout", text="x" * 3_000_000))])
    with pytest.raises(CourseError, match=r"01_a.ipynb would have 3.0 MB"):
        execute.refuse_large(nb, tmp_path / "01_a.ipynb")


def test_records_of_drawn_data_are_refused(tmp_path):
    """Only real data make a record, and only the chapter's own claims."""
    path = tmp_path / "01_a.ipynb"
    with pytest.raises(CourseError, match="on real data, not on drawn digits"):
        execute.read_records(tmp_path, path, {"data": {"drawn digits": None}})
    (tmp_path / "02.json").write_text("{}")
    with pytest.raises(CourseError, match="judges claims of chapter 02"):
        execute.read_records(tmp_path, path, {"data": {"mnist": None}})


def test_names(tmp_path):
    """A chapter is named by number, by name, or by path; other files are no chapters."""
    for name in ("01_a.ipynb", "02_b.ipynb", "draft.ipynb"):
        store(tmp_path, [code("1")], name)
    first, second = tmp_path / "01_a.ipynb", tmp_path / "02_b.ipynb"
    assert execute.find([], tmp_path) == [first, second]
    assert execute.find(["02_b", "01", f"{tmp_path}/01_a.ipynb"], tmp_path) == [
        second,
        first,
        first,
    ]
    assert code_cells(nbformat.read(first, as_version=4))[0].source == "1"

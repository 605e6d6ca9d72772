"""Where notebooks lie: found by number, name or path, and each with the claims that it judges."""

from __future__ import annotations

from dataclasses import replace

import nbformat
import pytest
from making import code

from course_tools.chapters import stored


def test_names(tmp_path):
    """A notebook is named by number, by name, or by path; exercises by their folder too."""
    (tmp_path / "exercises").mkdir()
    for name in ("01_a.ipynb", "02_b.ipynb", "02_c.ipynb", "draft.ipynb", "exercises/02_d.ipynb"):
        nbformat.write(nbformat.v4.new_notebook(cells=[code("1")]), tmp_path / name)
    every = ["01_a", "02_b", "02_c", "draft", "02_d"]
    assert [path.stem for path in stored.find([], tmp_path)] == every

    def found(*names):
        return [path.stem for path in stored.find(list(names), tmp_path)]

    assert found("02_b", "01", f"{tmp_path}/01_a.ipynb") == ["02_b", "01_a", "01_a"]
    assert found("02") == ["02_b", "02_c"] and found("exercises/02") == ["02_d"]
    assert found("02_d", "draft.ipynb") == ["02_d", "draft"]


@pytest.mark.parametrize(
    ("name", "judges", "chapter"),
    [
        ("07_mlp_dropout.ipynb", "demo.error", "07"),  # the rule then says that it is not stated
        ("scoring_generators.ipynb", "demo.error", "scoring"),
        ("notes.ipynb", "", "notes"),
    ],
)
def test_a_notebook_finds_its_claims_file(tmp_path, monkeypatch, good, name, judges, chapter):
    stated = {"demo.error": replace(good.claims["demo.error"], chapter="scoring")}
    nb = nbformat.v4.new_notebook(cells=[code(f"claims.judge({judges!r}, 1)")])
    nbformat.write(nb, tmp_path / name)
    monkeypatch.setattr(stored.claims, "load", lambda: stated)
    assert stored.read(tmp_path / name).chapter == chapter

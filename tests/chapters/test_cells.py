"""What is said of a cell agrees with what it does."""

from __future__ import annotations

import re

import pytest

from course_tools.chapters import stored
from course_tools.chapters.cells import code_cells, pictures, purposes, stdout, tags

VERDICT = re.compile(r"^[✓✗–] [a-z]+\.[a-z0-9-]+: ", re.M)  # as claims.judge prints it
SOURCES = {  # of a cell: what it is for
    "import torch\nfrom torch import nn": ["imports"],
    "import ipywidgets\nipywidgets.interact(show, x=(0, 9));": ["imports", "sliders"],
    "plotting.images(x);": ["drawing"],
    "ax = plt.subplots()[1]\nclaims.judge('a.b', 1)": ["drawing", "judging"],
    "notebook.table([{'a': 1}])": ["table"],
    "claims.judge('a.b', 1)\nnotebook.table([])": ["table", "judging"],
    "display(notebook.shapes(net, x), notebook.source(Net))": ["table", "source"],
    "display(notebook.sound(clip, 8_000, 'a tone'))": ["sound"],
    "print(check.squared_error(squared_error))": ["checking"],
    "digits = data.mnist()\nx = data.as_float(digits.test.x)": ["data"],
    "free = recipes.run('ae_sparse_0')": ["runs"],
    "def show():\n    plotting.images(x)\n\n\nshow()": ["functions", "measuring"],
    "def norm(x):\n    return notebook.table(x)": ["functions"],
    "fd = metrics.frechet_distance(a, b)": ["measuring"],
    "scores = {name: score(run) for name, run in runs.items()}": ["measuring"],
    "x = 1 < 2": ["measuring"],
    "this is no Python": ["measuring"],
    "": ["measuring"],
}


@pytest.mark.parametrize("source", SOURCES)
def test_purposes(source):
    assert purposes(source) == SOURCES[source]


def is_shown(cell, kind):
    """Tell whether a cell stores an output of this kind."""
    return any(kind in output.get("data", {}) for output in cell.outputs)


def test_what_is_said_of_folded_cells_agrees_with_what_they_stored():
    """The words are read from the source, the outputs come from the kernel."""
    seen = set()
    for path in stored.chapters():
        for cell in code_cells(stored.read(path).nb):
            if "hide-input" not in tags(cell):
                continue
            said = set(purposes(cell.source))
            shown = {
                "picture": (bool(pictures(cell)), said & {"drawing", "sliders"}),
                "table": (is_shown(cell, "text/markdown"), said & {"table", "source"}),
                "html": (is_shown(cell, "text/html"), said & {"sound", "checking"}),
                "verdict": (bool(VERDICT.search(stdout(cell))), said & {"judging"}),
            }
            wrong = {kind for kind, (there, words) in shown.items() if there != bool(words)}
            assert not wrong, f"{path.stem}, {sorted(said)}: {sorted(wrong)}\n{cell.source}"
            seen |= said
    assert seen >= {"imports", "drawing", "table", "judging", "functions", "measuring"}

"""The comparison of notebooks is alive: what is falsified fails, what is faithful passes.

The canaries go through the command line that `make test` uses, in a process of their own.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import nbformat
from making import code, drawing, figure, printed, result
from nbformat.v4 import new_notebook

from course_tools import tasks

# what the cells print stands for the quick profile on drawn digits, the stored outputs for a
# full run on MNIST
PRINTS = """print("– demo.error: judged in full")
print("Data: drawn digits (10,000 train)", flush=True)
print("three", len("three"))"""
STORED = "✓ demo.error: 83.4 < 161.9 (full, mnist)\nData: mnist (55,000 train)\nthree 5"
CELLS = [
    (PRINTS, printed(STORED)),
    ("6 * 7, object", result("(42, object)")),
    ("object.__repr__(3)", result("'<int object at 0x7f00>'")),
    ("import os; os.environ['COURSE_PROFILE']", result("'quick'")),
    ("'COURSE_RECORD' in os.environ, os.listdir(os.environ['COURSE_RUNS'])", result("(False, [])")),
]
DRAWS = "import matplotlib.pyplot as plt\nplt.figure(figsize=(2, 1)).add_subplot().plot([1, 2]);"


def canary():
    """Return a faithful canary."""
    cells = [code(source, output) for source, output in CELLS]
    cells.append(
        code("import random; random.random()", result("0.5"), tags=["nbval-ignore-output"])
    )
    nb = new_notebook(cells=cells)
    for number, cell in enumerate(nb.cells, 1):
        cell.execution_count = number
    return nb


def exercise_canary():
    """Return an exercise, which sees drawn data whatever the user has set."""
    asks = "import os; os.environ['COURSE_SOURCE'], os.environ['COURSE_DATA']"
    nb = new_notebook(cells=[code(asks, result("('drawn', '')"))])
    nb.cells[0].execution_count = 1
    return nb


def drawing_canary():
    """Return a faithful canary with figures: as the kernel draws it, and kept as SVG."""
    nb = canary()
    for output in (figure(), drawing()):
        nb.cells.append(code(DRAWS, output))
        output.data["text/plain"] = "<Figure size 200x100 with 1 Axes>"
        nb.cells[-1].execution_count = len(nb.cells)
    return nb


FALSIFIED = {  # name: (cell, what its stored output says instead)
    "stdout": (0, printed(STORED.replace("5,", "").replace("three 5", "three 6"))),
    "claim": (0, printed(STORED.replace("demo.error", "demo.other"))),
    "claim_gone": (0, printed(STORED.split("\n", 1)[1])),
    "result": (1, result("(43, object)")),
    "settings": (3, result("'full'")),
}


def run_nbval(folder: Path, *arguments: str):
    """Compare the notebooks in `folder`; return the process, and {notebook: its failed cells}."""
    report = folder / "report.xml"
    command = [sys.executable, "-m", "pytest", "-c", str(tasks.ROOT / "pyproject.toml")]
    command += ["-p", "no:cacheprovider", "-m", "not slow", *tasks.NBVAL]
    command += [f"--junitxml={report}", *arguments, str(folder)]
    # a user's settings, which must not reach the kernels
    env = os.environ | {"COURSE_PROFILE": "full", "COURSE_RECORD": "x", "MPLBACKEND": "agg"}
    env |= {"COURSE_SOURCE": "real", "COURSE_DATA": "elsewhere"}
    env = {name: value for name, value in env.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(command, cwd=tasks.ROOT, env=env, capture_output=True, text=True)
    failed: dict[str, list[str]] = {path.stem: [] for path in folder.rglob("*.ipynb")}
    for case in ET.parse(report).iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            notebook = next(name for name in failed if f"{name}.ipynb" in case.get("classname"))
            failed[notebook].append(case.get("name"))
    return done, failed


def test_falsified_fails_and_faithful_passes(tmp_path):
    """Each falsified canary fails in the cell that was falsified, and nothing else fails.

    What only profile, data and moment change, is no difference. The times are told at the end.
    """
    nbformat.write(drawing_canary(), tmp_path / "faithful.ipynb")
    for name, (index, output) in FALSIFIED.items():
        nb = canary()
        nb.cells[index].outputs = [output]
        nbformat.write(nb, tmp_path / f"{name}.ipynb")
    (tmp_path / "exercises").mkdir()
    nbformat.write(exercise_canary(), tmp_path / "exercises" / "drawn.ipynb")
    done, failed = run_nbval(tmp_path, "-n", "2", "--dist", "loadfile")
    assert done.returncode == 1, done.stdout + done.stderr
    expected = {name: [f"Cell {index}"] for name, (index, _) in FALSIFIED.items()}
    assert failed == expected | {"faithful": [], "drawn": []}, done.stdout + done.stderr
    assert re.search(r"^faithful.ipynb: (?!0\.0)\d+\.\d s of the processor$", done.stdout, re.M)


def test_slow_fails(tmp_path):
    """A notebook that exceeds its budget fails once, and says how long it took."""
    nbformat.write(canary(), tmp_path / "slow.ipynb")
    done, failed = run_nbval(tmp_path, "--notebook-seconds", "0.01")
    assert (done.returncode, failed) == (1, {"slow": ["Cell 0"]}), done.stdout + done.stderr
    assert "slow.ipynb took" in done.stdout

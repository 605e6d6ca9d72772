"""A good chapter in memory, which the tests spoil, one rule at a time."""

from __future__ import annotations

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from course_tools.chapters.cells import code_sha256
from course_utils.claims import Claim

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
)
DESCRIBED = {
    "image": {"alt": "Two lines fall from 200 to 90 over a hundred epochs, one above the other."},
    "figure": {"caption": "Errors on training and test images by epoch."},
}
CLAIMS = {
    "demo.error": Claim("demo.error", "It is small.", "error", "< 161.9", "full", "11"),
    "demo.share": Claim("demo.share", "It is half.", "share", "0.4 .. 0.6", "always", "11"),
    "demo.goal": Claim("demo.goal", "A goal.", "error", "<= 75", "full", "11", kind="goal"),
    "other.error": Claim("other.error", "Elsewhere.", "error", "> 0", "full", "02"),
}
FAILURE = new_output("error", ename="ValueError", evalue="no", traceback=["ValueError: no"])
FULL = {"profile": "full", "data": "mnist", "spread": None, "n": None}
RECORDS = {
    "demo.error": FULL | {"value": 83.4512, "spread": 0.213, "n": 5},
    "demo.share": FULL | {"value": 0.5},
    "demo.goal": FULL | {"value": 79.04},
    "other.error": FULL | {"value": 1.0},
}


def printed(words: str):
    """Return an output: `words` on stdout."""
    return new_output("stream", name="stdout", text=words + "\n")


def figure(shown: str = PIXEL):
    """Return an output: a figure."""
    data = {"text/plain": "<Figure size 682x374 with 1 Axes>", "image/png": shown}
    return new_output("display_data", data=data)


def drawing(shown: str = "<svg></svg>"):
    """Return an output: a figure that is kept as SVG."""
    data = {"text/plain": "<Figure size 682x374 with 1 Axes>", "image/svg+xml": shown}
    return new_output("display_data", data=data)


def code(source: str, *outputs, **metadata):
    """Return a code cell."""
    return new_code_cell(source, outputs=list(outputs), metadata=metadata)


def result(words: str):
    """Return an output: the value of the cell's last line."""
    return new_output("execute_result", data={"text/plain": words})


def good_notebook():
    """Return a notebook that obeys every rule: 25 code cells, three claims, one figure."""
    cells = [
        code("import torch"),
        code("from course_utils import claims, plotting\n\nplotting.style()"),
        code("plotting.curves(history);", figure(), mystnb=DESCRIBED),
        code(
            'claims.judge("demo.error", error, spread, 5)',
            printed("✓ demo.error: 83.45 ± 0.21 (5 seeds) < 161.9 (full, mnist)"),
        ),
        code(
            'claims.judge("demo.share", share)\nclaims.judge("demo.goal", error)',
            printed(
                "✓ demo.share: 0.5 in 0.4 .. 0.6 (full, mnist)\n"
                "✗ demo.goal: 79.04, expected <= 75 (full, mnist)"
            ),
        ),
        code("int('a')", FAILURE, tags=["raises-exception"]),
        code("def sketch():\n    return plt.subplots()"),
        code("%timeit f()", printed("1.2 ms"), tags=["nbval-ignore-output"]),
        *(code(f"{n} + {n}", result(str(2 * n))) for n in range(17)),
    ]  # fmt: skip
    nb = new_notebook(cells=[new_markdown_cell("# A chapter"), *cells])
    settle(nb)
    return nb


def settle(nb, counts: bool = True, stamp: bool = True) -> None:
    """Number the cells as a kernel does, and stamp the notebook."""
    for number, cell in enumerate((c for c in nb.cells if c.cell_type == "code"), 1):
        if counts:
            cell.execution_count = number
    if stamp:
        nb.metadata["course"] = nbformat.from_dict(
            {"profile": "full", "data": "mnist", "data_sha256": "0" * 64}
            | {"code_sha256": code_sha256(nb)}
        )

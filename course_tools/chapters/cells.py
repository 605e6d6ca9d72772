"""What a notebook file holds: its code cells, their texts and pictures, and what they call."""

from __future__ import annotations

import ast
import builtins
import hashlib
import json
import re
from collections.abc import Iterator

from nbformat import NotebookNode

# in a notebook's metadata: by which kernel it is run
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
# of an output: what a check found, for a grader; as in course_utils.check, which imports torch
VERDICT = "application/vnd.course.verdict+json"
# what these modules offer beside functions that draw
NO_FIGURE = {
    "plotting": {"style", "tile", "COLOURS", "DIGIT_COLOURS"},
    "plt": {"close", "rc", "cycler", "get_cmap", "ioff", "ion", "switch_backend", "get_fignums"},
}


def code_cells(nb: NotebookNode) -> list[NotebookNode]:
    """Return the code cells of a notebook."""
    return [cell for cell in nb.cells if cell.cell_type == "code"]


def code_sha256(nb: NotebookNode) -> str:
    """Return the hash of the sources of all code cells: what a stamp vouches for."""
    sources = [cell.source for cell in code_cells(nb)]
    return hashlib.sha256(json.dumps(sources).encode()).hexdigest()


def tags(cell: NotebookNode) -> set[str]:
    """Return the tags of a cell."""
    return set(cell.metadata.get("tags", []))


def stdout(cell: NotebookNode) -> str:
    """Return what a cell printed."""
    streams = (out for out in cell.outputs if out.output_type == "stream")
    return "".join(text(out.text) for out in streams if out.name == "stdout")


def texts(cell: NotebookNode) -> Iterator[str]:
    """Yield every text in the outputs of a cell, pictures apart."""
    for output in cell.outputs:
        yield text(output.get("text", ""))
        yield text(output.get("evalue", ""))
        yield text(output.get("traceback", ""))
        for kind, content in output.get("data", {}).items():
            if kind.startswith("text/") or kind == "image/svg+xml":
                yield text(content)


def text(content: str | list[str]) -> str:
    """Return a text that the format may hold as a list of lines."""
    return content if isinstance(content, str) else "\n".join(map(str, content))


def pictures(cell: NotebookNode) -> int:
    """Return how many pictures a cell shows."""
    kinds = (output.get("data", {}) for output in cell.outputs)
    return sum(any(kind.startswith("image/") and data[kind] for kind in data) for data in kinds)


def described(cell: NotebookNode) -> tuple[str, str]:
    """Return alternative text and caption from a cell's metadata, "" where there is none."""
    words = cell.metadata.get("mystnb", {})
    alt = words.get("image", {}).get("alt", "")
    return alt.strip(), words.get("figure", {}).get("caption", "").strip()


def tree(cell: NotebookNode) -> ast.Module:
    """Return the syntax tree of a cell, its magics and shell lines left out; empty if broken."""
    lines = ["" if re.match(r"\s*[%!?]", line) else line for line in cell.source.splitlines()]
    try:
        return ast.parse("\n".join(lines))
    except SyntaxError:
        return ast.Module([], [])


def calls(node: ast.AST, into_functions: bool = True) -> Iterator[ast.Call]:
    """Yield the calls below `node`; without `into_functions`, those that run at once."""
    for child in ast.iter_child_nodes(node):
        definition = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if definition and not into_functions:
            continue
        if isinstance(child, ast.Call):
            yield child
        yield from calls(child, into_functions)


def draws(cell: NotebookNode) -> bool:
    """Tell whether a cell must leave a picture: by its description, or by what it calls."""
    return any(described(cell)) or any(
        isinstance(call.func, ast.Attribute)
        and isinstance(call.func.value, ast.Name)
        and call.func.attr not in NO_FIGURE.get(call.func.value.id, {call.func.attr})
        for call in calls(tree(cell), into_functions=False)
    )


def judged_ids(cell: NotebookNode) -> list[str | None]:
    """Return the ids that a cell judges; None for one that is no literal."""
    found = []
    for call in calls(tree(cell)):
        if ast.unparse(call.func) in ("judge", "claims.judge"):
            first = call.args[0] if call.args else None
            known = isinstance(first, ast.Constant) and isinstance(first.value, str)
            found.append(first.value if known else None)
    return found


def purposes(source: str) -> list[str]:
    """Return what a cell is for, as the page says beside a folded one: at least one word.

    What a cell shows names it; where it shows nothing, what it prepares or computes.
    """
    cell = NotebookNode(source=source, metadata={})
    body = tree(cell).body
    called = {ast.unparse(call.func) for call in calls(tree(cell), into_functions=False)}
    named = {ast.unparse(node) for node in ast.walk(tree(cell)) if isinstance(node, ast.Attribute)}
    shows = {
        "imports": any(isinstance(node, ast.Import | ast.ImportFrom) for node in body),
        "table": called & {"notebook.table", "notebook.shapes"},
        "source": called & {"notebook.source"},
        "sound": called & {"notebook.sound"},
        "sliders": called & {"ipywidgets.interact"},
        "drawing": draws(cell),
        "checking": any(name.startswith("check.") for name in named),
        "judging": judged_ids(cell),
    }
    helpers = {name for name in called if name.isidentifier() and not hasattr(builtins, name)}
    prepares = {
        "data": called & {"data.mnist", "data.fashion", "data.faces"},
        "runs": called & {"recipes.run", "recipes.run_seeds", "sweeps.over"},
        "functions": any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in body),
        "measuring": helpers or any(name.startswith("metrics.") for name in called),
    }
    found = shows if any(shows.values()) else prepares
    return [purpose for purpose, holds in found.items() if holds] or ["measuring"]

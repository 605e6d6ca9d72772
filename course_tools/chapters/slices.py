"""What one claim of a chapter rests on: a backward slice of the chapter's code.

The statements at the top of the cells are the units. Going backwards from the one that judges the
claim, a statement is kept when it defines or changes a name that is needed, and what it uses is
needed then (Weiser, "Program slicing", 1981). A slice may hold more than it must; a test shows that
it holds enough, since it gives the chapter's own value.

Two things go beyond names. A function of the notebook brings the names that its body uses, as they
are when it is called. And random numbers: they come from the seed that was set last, in the same
cell, with everything in between that may have drawn some.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator

from nbformat import NotebookNode

from course_tools.chapters.statements import Statement, calls_of, statements

COMPOUND = ast.If | ast.For | ast.While | ast.With | ast.Try  # may not bind what they can bind


def backward(of: list[Statement], id: str) -> list[Statement]:
    """Return the statements that the claim `id` rests on, the judging one last.

    Raises KeyError when no statement judges it.
    """
    last = next((i for i, statement in enumerate(of) if id in statement.judges), None)
    if last is None:
        raise KeyError(id)
    kept, needed = {last}, called_too(set(of[last].uses), of[:last])
    keep_random(of, last, kept, needed)
    for i in range(last - 1, -1, -1):
        here = of[i]
        if i not in kept and not (here.defines | here.changes) & needed:
            continue
        if i not in kept:
            kept.add(i)
            keep_random(of, i, kept, needed)
        if not isinstance(here.tree, COMPOUND):
            needed -= here.defines
        needed |= called_too(set(here.uses), of[:i])
    kept |= {i for i in range(last) if of[i].imports}
    return [of[i] for i in sorted(kept)]


def keep_random(of: list[Statement], at: int, kept: set[int], needed: set[str]) -> None:
    """Keep what decides the random numbers that the statement at `at` may draw.

    In its own cell: from the seed on, whatever may draw. A cell without a seed of its own, as
    older chapters have, goes back to the last seed before it.
    """
    here = of[at]
    seeds = [i for i in range(at) if of[i].seeds and (of[i].cell == here.cell or here.draws)]
    if not seeds or not (here.draws or here.calls):
        return
    between = [i for i in range(seeds[-1] + 1, at) if of[i].draws or of[i].calls]
    for i in [seeds[-1], *between]:
        kept.add(i)
        needed |= called_too(set(of[i].uses), of[:at])


def called_too(names: set[str], before: list[Statement]) -> set[str]:
    """Return names, and those that the functions among them read when they are called."""
    later: dict[str, set[str]] = {}
    for statement in before:
        later |= statement.later
    found, fresh = set(names), set(names)
    while fresh:
        fresh = set().union(*(later.get(name, set()) for name in fresh)) - found
        found |= fresh
    return found


def as_cells(kept: Iterable[Statement]) -> list[str]:
    """Return the sources of the cells that hold these statements, empty cells left out."""
    cells: dict[int, list[str]] = defaultdict(list)
    for statement in kept:
        cells[statement.cell].append(statement.source)
    return ["\n".join(lines) for lines in cells.values()]


def recipes_in(kept: Iterable[Statement]) -> set[str]:
    """Return the recipes whose runs these statements ask for by name."""
    found = set()
    for statement in kept:
        for call in calls_of(statement.tree):
            asks = ast.unparse(call.func) in (
                "recipes.run", "recipes.run_seeds", "runs.run", "runs.run_seeds",
            )  # fmt: skip
            if asks and call.args and isinstance(call.args[0], ast.Constant):
                found.add(call.args[0].value)
    return found


def unseeded(nb: NotebookNode) -> Iterator[int]:
    """Yield the numbers of the code cells that draw random numbers and set no seed before."""
    seen: dict[int, bool] = {}
    for statement in statements(nb):
        seeded = seen.setdefault(statement.cell, False)
        if statement.seeds:
            seen[statement.cell] = True
        elif statement.draws and not seeded:
            seen[statement.cell] = True
            yield statement.cell

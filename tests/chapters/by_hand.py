"""What a notebook writes out by hand, taken from it and executed without the rest."""

from __future__ import annotations

import ast

import nbformat

from course_tools.chapters.cells import code_cells, tree
from course_tools.chapters.stored import FOLDER

DEFINITIONS = (ast.FunctionDef, ast.ClassDef)
IMPORTS = (ast.Import, ast.ImportFrom)


def statements(notebook: str) -> list[ast.stmt]:
    """Return the statements at the top of a notebook's cells; its name is without ".ipynb"."""
    nb = nbformat.read(FOLDER / f"{notebook}.ipynb", as_version=4)
    return [statement for cell in code_cells(nb) for statement in tree(cell).body]


def definitions(notebook: str) -> dict[str, ast.stmt]:
    """Return a notebook's functions and classes by name."""
    return {each.name: each for each in statements(notebook) if isinstance(each, DEFINITIONS)}


def length(definition: ast.stmt) -> int:
    """Return how many lines a definition takes in its cell, decorators and empty lines included."""
    first = min(each.lineno for each in (definition, *definition.decorator_list))
    return definition.end_lineno - first + 1


def written(notebook: str, *names: str) -> dict:
    """Return what a notebook imports, and those of its functions, classes and values by name."""
    parts = statements(notebook)
    chosen = [each for each in parts if isinstance(each, IMPORTS) or set(names) & bound(each)]
    made: dict = {}
    exec(compile(ast.Module(chosen, []), notebook, "exec"), made)  # of this repository
    missing = set(names) - set(made)
    assert not missing, f"{notebook} does not write out {', '.join(sorted(missing))}"
    return made


def bound(statement: ast.stmt) -> set[str]:
    """Return the names that a definition or an assignment gives to something."""
    if isinstance(statement, DEFINITIONS):
        return {statement.name}
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    return {each.id for each in targets if isinstance(each, ast.Name)}

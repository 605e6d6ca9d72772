"""The code that a run depends on, as a hash: a run made with other code is known to be stale.

Followed is what gives the numbers: the model's class, the loss, what else a recipe hands over, and
all functions, classes and constants of the course (or of a notebook) that they name. Comments,
docstrings, annotations and the words of errors change no number and are left aside. The loop has a
version number, `train.LOOP_VERSION`, which a test of equal bits keeps honest.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
import json
import textwrap
import types
from collections.abc import Iterator

from course_utils import train
from course_utils.recipes.recipe import Recipe, fit_one_loss, mean_terms

OURS = ("course_utils", "__main__")
BY_VERSION = (  # what the version of the loop stands for, and what changes no number
    *("course_utils.train", "course_utils.checkpoint", "course_utils.recipes.recipe"),
    *("course_utils.runtime", "course_utils.errors", "course_utils.folders"),
    "course_utils.provenance",
)
CODE = (types.FunctionType, type, functools.partial)


def code_hash(recipe: Recipe) -> str:
    """Return a short hash of the code that a run of the recipe depends on."""
    given = [recipe.model, recipe.loss, recipe.fit, recipe.score]
    own = [thing for thing in given if thing not in (None, fit_one_loss, mean_terms)]
    return _hash(tuple(own), train.LOOP_VERSION)


def staleness(recipe: Recipe, info: dict) -> str | None:
    """Return why the recipe's code of today would give another run than run.json's; None if not."""
    if "code" not in info:
        return "made before runs kept which code made them"
    if info["code"] != code_hash(recipe):
        return "made with other code of its model, loss or training than today's"
    return None


@functools.lru_cache(maxsize=256)
def _hash(things: tuple, loop_version: int) -> str:
    """Return the hash of the things' code and of the loop's version."""
    found: dict[str, object] = {}
    roots = {*OURS, *(root(thing) for thing in things)} - {"torch"}
    for thing in things:
        gather(thing, found, roots)
    shapes = sorted((name.rpartition(".")[2], shape) for name, shape in found.items())
    text = json.dumps([loop_version, shapes])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def root(thing) -> str:
    """Return the name of the package in which something is defined."""
    return (getattr(thing, "__module__", None) or "").partition(".")[0]


def gather(thing, found: dict[str, object], roots: set[str]) -> None:
    """Put the code of a function or class, and of all that it names, into `found`, by name."""
    if isinstance(thing, functools.partial):
        gather_value(thing.args, "arguments", found, roots)
        gather_value(thing.keywords, "arguments", found, roots)
        return gather(thing.func, found, roots)
    thing = inspect.unwrap(thing)
    name = f"{thing.__module__}.{thing.__qualname__}"
    if name in found or root(thing) not in roots or thing.__module__.startswith(BY_VERSION):
        return None
    tree = syntax(thing)
    found[name] = bytecode(thing) if tree is None else shape(tree)
    if tree is not None:
        for used, value in named(tree, namespace(thing)):
            gather_value(value, f"{name}: {used}", found, roots)
    return None


def gather_value(value, name: str, found: dict[str, object], roots: set[str]) -> None:
    """Put what a name stands for into `found`: code, or the value of a constant."""
    if isinstance(value, CODE):
        gather(value, found, roots)
    elif isinstance(value, dict):
        for key, entry in value.items():
            gather_value(entry, f"{name}[{key!r}]", found, roots)
    elif isinstance(value, (list, tuple)):
        for i, entry in enumerate(value):
            gather_value(entry, f"{name}[{i}]", found, roots)
    elif value is None or isinstance(value, (bool, int, float, str)):
        found[name] = repr(value)


def syntax(thing) -> ast.AST | None:
    """Return the syntax tree of a function or class; None where its source is not to be had."""
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(thing)))
    except (OSError, TypeError, SyntaxError):
        return None


def bytecode(thing) -> list:
    """Return what stands for the code of a thing without source: its instructions and constants."""
    functions = vars(thing).values() if isinstance(thing, type) else [thing]
    return [compiled(f.__code__) for f in functions if isinstance(f, types.FunctionType)]


def compiled(code: types.CodeType) -> list:
    """Return the instructions, names and constants of compiled code, as nested lists."""
    constants = [compiled(c) if isinstance(c, types.CodeType) else repr(c) for c in code.co_consts]
    return [code.co_code.hex(), list(code.co_names), constants]


def namespace(thing) -> dict:
    """Return what the names in a function or class stand for."""
    if isinstance(thing, type):
        return vars(inspect.getmodule(thing) or types.ModuleType("nowhere"))
    return thing.__globals__ | inspect.getclosurevars(thing).nonlocals


def named(tree: ast.AST, names: dict) -> Iterator[tuple[str, object]]:
    """Yield what a piece of code names, and what that stands for."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Name, ast.Attribute)):
            value = resolved(node, names)
            if value is not names:
                yield ast.unparse(node), value


def resolved(node: ast.AST, names: dict) -> object:
    """Return what `a` or `module.a` stands for; `names` itself where that is nothing known."""
    if isinstance(node, ast.Name):
        return names.get(node.id, names)
    if isinstance(node, ast.Attribute):
        owner = resolved(node.value, names)
        if isinstance(owner, types.ModuleType):
            return getattr(owner, node.attr, names)
    return names


def shape(node) -> object:
    """Return a syntax tree as nested lists, the same in every version of Python.

    Left out are docstrings, annotations of functions, and what errors say.
    """
    if isinstance(node, list):
        return [shape(entry) for entry in node]
    if not isinstance(node, ast.AST):
        return repr(node)
    if isinstance(node, ast.Raise):
        return ["Raise"]
    left_out = {"annotation", "returns", "type_comment", "ctx", "kind", "type_params"}
    if isinstance(node, ast.AnnAssign):
        left_out = left_out - {"annotation"}  # of a dataclass: an attribute
    fields = {name: value for name, value in ast.iter_fields(node) if value not in (None, [])}
    if isinstance(fields.get("body"), list):
        fields["body"] = [entry for entry in fields["body"] if not is_text(entry)]
    return [type(node).__name__, *([k, shape(v)] for k, v in fields.items() if k not in left_out)]


def is_text(node: ast.AST) -> bool:
    """Tell whether a statement is a text alone, as docstrings are."""
    return isinstance(node, ast.Expr) and isinstance(getattr(node.value, "value", None), str)

"""What the statements of a notebook define, change, use, draw and judge, as its slices need it.

Read from the code alone, so it cannot always be known: where it cannot be told whether a call
changes an object, it is taken to do so. Names are followed through `b = a.part`, through what is
put together from others (`[a]`, `Adam(net.parameters())`), and into the notebook's own functions.
"""

from __future__ import annotations

import ast
import builtins
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from IPython.core.inputtransformer2 import TransformerManager
from nbformat import NotebookNode

from course_tools.chapters.cells import calls, code_cells

# functions that set the state of random numbers, and those that use it, unless given a generator
SEEDING = {"manual_seed", "seed_everything"}
DRAWING = {
    "rand", "randn", "randint", "randperm", "rand_like", "randn_like", "randint_like", "normal",
    "bernoulli", "multinomial", "poisson", "sample", "rsample", "shuffle", "choice", "permutation",
    "uniform", "random", "standard_normal", "normal_", "uniform_", "random_", "bernoulli_",
    "dropout",
}  # fmt: skip
# functions that draw, say or judge, and functions that change their first argument
SHOWING = {"plotting", "plt", "notebook", "claims", "print", "display", "len", "zip", "range"}
CHANGING = {"fit", "fit_gan", "run_epochs", "train_epoch", "setattr", "delattr", "next", "exec"}
# methods that change nothing; of others it is not known
READING = {
    "abs", "all", "any", "argmax", "argmin", "argsort", "build", "chunk", "clone", "copy", "count",
    "cpu", "decode", "detach", "diff", "double", "encode", "exp", "first", "flatten", "float",
    "format", "get", "head", "index", "index_select", "int", "isfinite", "item", "items", "join",
    "keys", "log", "logsumexp", "long", "max", "mean", "median", "min", "model", "nonzero", "norm",
    "numel", "numpy", "parameters", "permute", "pixels", "quantile", "reconstruct", "repeat",
    "reshape", "round", "sample", "size", "softmax", "split", "sqrt", "square",
    "squared_error", "squeeze", "stack", "startswith", "std", "strip", "sum", "tanh",
    "tolist", "topk", "transpose", "unbind", "unflatten", "unsqueeze", "values", "var", "view",
}  # fmt: skip


@dataclass
class Statement:
    """A statement at the top of a cell.

    Attributes:
        cell: number of its code cell, from 0.
        source: its text.
        defines: names that it binds, whatever they were before.
        changes: names whose objects it may change, or that it may bind.
        uses: names that it reads, and those that functions it mentions read when they are called.
        later: name that it binds -> names that are read when the value is called.
        seeds, draws, calls: whether it sets the random state, surely uses it, might.
        judges: ids of claims.
    """

    cell: int
    source: str
    tree: ast.stmt
    defines: set[str] = field(default_factory=set)
    changes: set[str] = field(default_factory=set)
    uses: set[str] = field(default_factory=set)
    later: dict[str, set[str]] = field(default_factory=dict)
    seeds: bool = False
    draws: bool = False
    calls: bool = False
    judges: set[str] = field(default_factory=set)

    @property
    def imports(self) -> bool:
        """Tell whether it only imports."""
        return isinstance(self.tree, ast.Import | ast.ImportFrom)


def statements(nb: NotebookNode) -> list[Statement]:
    """Return the statements of all code cells, in order, with what each defines and uses."""
    found: list[Statement] = []
    for number, cell in enumerate(code_cells(nb)):
        source = TransformerManager().transform_cell(cell.source)
        for tree in parsed(source).body:
            lines = [*(d.lineno for d in getattr(tree, "decorator_list", ())), tree.lineno]
            text = "\n".join(source.splitlines()[min(lines) - 1 : tree.end_lineno])
            found.append(Statement(number, text, tree))
    return Reading(found).analysed()


def parsed(source: str) -> ast.Module:
    """Return the syntax tree of a cell; an empty one where it is broken, as a lesson may want."""
    try:
        return ast.parse(source)
    except SyntaxError:
        return ast.Module([], [])


def calls_of(tree: ast.AST) -> Iterator[ast.Call]:
    """Yield all calls of a statement, those that are statements themselves too."""
    return calls(ast.Module([tree], []))


def name_of(call: ast.Call) -> str:
    """Return the last part of what is called: "randn" of torch.randn(3)."""
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


def root(node: ast.AST) -> str | None:
    """Return the name that a chain like `a.b[0].c` begins with; None for other expressions."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Starred):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def loaded(tree: ast.AST) -> set[str]:
    """Return the names that a tree reads from outside: not its functions' own, no builtins."""
    names: set[str] = set()

    def visit(node: ast.AST, own: set[str]) -> None:
        if isinstance(node, ast.FunctionDef | ast.Lambda):
            for default in [*node.args.defaults, *filter(None, node.args.kw_defaults)]:
                visit(default, own)
            for decorator in getattr(node, "decorator_list", []):
                visit(decorator, own)
            own = own | locals_of(node)
            body = node.body if isinstance(node.body, list) else [node.body]
            for child in body:
                visit(child, own)
            return
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id not in own:
            names.add(node.id)
        if isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            own = own | stored(node)
        for child in ast.iter_child_nodes(node):
            visit(child, own)

    visit(tree, set())
    return {name for name in names if not hasattr(builtins, name)}


def locals_of(node: ast.FunctionDef | ast.Lambda) -> set[str]:
    """Return parameters and assigned names of a function, without those declared global."""
    arguments = node.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    every += filter(None, (arguments.vararg, arguments.kwarg))
    body = node.body if isinstance(node.body, list) else [node.body]
    outer = {n for b in body for x in ast.walk(b) if isinstance(x, ast.Global) for n in x.names}
    own = set().union({argument.arg for argument in every}, *map(stored, body))
    return own - outer


def stored(tree: ast.AST) -> set[str]:
    """Return the names that a tree binds, inside functions left out."""
    found: set[str] = set()
    if isinstance(tree, ast.FunctionDef | ast.ClassDef):
        return {tree.name}
    if isinstance(tree, ast.Lambda):
        return found
    if isinstance(tree, ast.Name) and isinstance(tree.ctx, ast.Store | ast.Del):
        found.add(tree.id)
    if isinstance(tree, ast.Import | ast.ImportFrom):
        found |= {(alias.asname or alias.name).split(".")[0] for alias in tree.names}
    if isinstance(tree, ast.ExceptHandler) and tree.name:
        found.add(tree.name)
    for child in ast.iter_child_nodes(tree):
        found |= stored(child)
    return found


def changed(tree: ast.AST) -> tuple[set[str], set[str]]:
    """Return the names whose objects a tree may change, by itself: through and through, or
    at the surface alone (an item or attribute is set, which leaves what else it holds as it is).
    """
    deep: set[str | None] = set()
    surface: set[str | None] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
            surface.add(root(node))
        if isinstance(node, ast.AugAssign):
            surface.add(root(node.target))
        if isinstance(node, ast.Global):
            surface |= set(node.names)
        if isinstance(node, ast.Call):
            deep |= changed_by_call(node)
    return deep - {None}, surface - deep - {None}


def changed_by_call(call: ast.Call) -> set[str | None]:
    """Return the names whose objects a call may change: of a method, or of a known function."""
    name, first = name_of(call), {root(argument) for argument in call.args[:1]}
    found: set[str | None] = set()
    if isinstance(call.func, ast.Attribute) and name not in READING:
        found.add(root(call.func.value))
    if name in CHANGING or (name.endswith("_") and not name.endswith("__")):
        found |= first | {root(k.value) for k in call.keywords}
    return found


class Reading:
    """Works out what the statements of a notebook define, change, use and draw."""

    def __init__(self, found: list[Statement]):
        """Take the statements, in order."""
        self.found = found
        imported = (stored(statement.tree) for statement in found if statement.imports)
        self.modules = SHOWING.union({"torch", "np"}, *imported)
        self.functions: dict[str, ast.AST] = {}  # of the notebook, as defined so far
        self.same: dict[str, set[str]] = defaultdict(set)  # other names of an object, or its parts
        self.holds: dict[str, set[str]] = defaultdict(set)  # what an object was put together from
        self.held_in: dict[str, set[str]] = defaultdict(set)  # ... and the other way round

    def analysed(self) -> list[Statement]:
        """Fill in every statement; return them all."""
        for statement in self.found:
            self.analyse(statement)
        return self.found

    def analyse(self, here: Statement) -> None:
        """Fill in one statement."""
        tree = here.tree
        here.defines = stored(tree)
        here.uses = loaded(tree) | {t.target.id for t in ast.walk(tree)
                                    if isinstance(t, ast.AugAssign)
                                    and isinstance(t.target, ast.Name)}  # fmt: skip
        here.seeds = self.is_seeding(tree)
        if isinstance(tree, ast.FunctionDef | ast.ClassDef):
            here.later[tree.name] = set(here.uses)
            self.functions[tree.name] = tree
        else:
            self.note_held_functions(here)
            self.note_aliases(tree)
            here.changes = self.effects(tree) - self.modules
            here.draws = not here.seeds and self.surely_draws(tree, set())
            here.calls = not here.seeds and any(map(self.may_draw, calls_of(tree)))
        judged = (c for c in calls_of(tree) if ast.unparse(c.func) in ("judge", "claims.judge"))
        firsts = (c.args[0] for c in judged if c.args)
        here.judges = {first.value for first in firsts if isinstance(first, ast.Constant)}

    def note_held_functions(self, here: Statement) -> None:
        """Let a name that holds functions bring what they read: of lambdas, partials, tables."""
        if not isinstance(here.tree, ast.Assign):
            return
        found = list(functions_held_by(here.tree.value))
        held = {f.id for f in found if isinstance(f, ast.Name)} & set(self.functions)
        lambdas = [f for f in found if isinstance(f, ast.Lambda)]
        if held or lambdas:
            for name in here.defines:
                here.later[name] = held.union(*map(loaded, lambdas))
                self.functions[name] = here.tree

    def note_aliases(self, tree: ast.stmt) -> None:
        """Remember that `a = b.c` is b, that `a = [b]` and `a = Adam(b.parameters())` hold b."""
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    for names, value in pairs(target, node.value):
                        self.note_alias(names, value)

    def note_alias(self, names: set[str], value: ast.AST) -> None:
        """Remember what the names are, or hold, that take a value."""
        held = held_by(value) - self.modules
        part = isinstance(value, ast.Name | ast.Attribute | ast.Subscript)
        for name in names:
            for other in held - {name}:
                (self.same if part else self.holds)[name].add(other)
                (self.same if part else self.held_in)[other].add(name)

    def reached(self, names: set[str], through: bool) -> set[str]:
        """Return names, and those by which their objects go, or of objects that hold them.

        With `through`, those of the objects that they hold too.
        """
        found, fresh = set(names), set(names)
        links = [self.same, self.held_in, *([self.holds] if through else [])]
        while fresh:
            fresh = {other for name in fresh for link in links for other in link[name]} - found
            found |= fresh
        return found

    def effects(self, tree: ast.AST, within: set[str] = frozenset()) -> set[str]:
        """Return the names that a statement may change, through the notebook's functions too."""
        deep, surface = changed(tree)
        for call in calls_of(tree):
            function = self.functions.get(name_of(call))
            if isinstance(function, ast.FunctionDef) and changes_arguments(function):
                arguments = [*call.args, *(k.value for k in call.keywords)]
                deep |= {root(argument) for argument in arguments} - {None}
        found = self.reached(deep, through=True) | self.reached(surface, through=False)
        for name in (loaded(tree) & set(self.functions)) - within:
            function = self.functions[name]
            own = locals_of(function) if isinstance(function, ast.FunctionDef) else set()
            found |= self.effects(function, within | {name}) - own
        return found

    def is_seeding(self, tree: ast.AST) -> bool:
        """Tell whether a statement is a call that seeds, such as torch.manual_seed(0)."""
        call = tree.value if isinstance(tree, ast.Expr) else None
        return isinstance(call, ast.Call) and name_of(call) in SEEDING and root(call.func) != "self"

    def surely_draws(self, tree: ast.AST, within: set[str]) -> bool:
        """Tell whether a statement draws by a known name, or by a function here that does."""
        for call in calls_of(tree):
            own = any(k.arg == "generator" for k in call.keywords)
            if name_of(call) in DRAWING and not own:
                return True
        for name in (loaded(tree) & set(self.functions)) - within:
            function = self.functions[name]
            seeds = any(name_of(call) in SEEDING for call in calls_of(function))
            if not seeds and self.surely_draws(function, within | {name}):
                return True
        return False

    def may_draw(self, call: ast.Call) -> bool:
        """Tell whether a call might draw: it is none of those known to show, read or judge."""
        name = name_of(call)
        return root(call.func) not in SHOWING and name not in READING and name not in SHOWING


def changes_arguments(function: ast.FunctionDef) -> bool:
    """Tell whether a function may change what it is given."""
    given = {argument.arg for argument in function.args.args + function.args.kwonlyargs}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and held_by(node.value) & given:
            given |= set().union(*map(stored, node.targets))
    return any(names & given for names in changed(function))


def pairs(target: ast.AST, value: ast.AST) -> Iterator[tuple[set[str], ast.AST]]:
    """Yield names and the value that they take: of `a, b = c, d` two of each."""
    both = (target, value)
    if all(isinstance(each, ast.Tuple | ast.List) for each in both) and len(target.elts) == len(
        value.elts
    ):
        for one, other in zip(target.elts, value.elts, strict=True):
            yield from pairs(one, other)
    else:
        yield stored(target), value


def held_by(value: ast.AST) -> set[str]:
    """Return the names of the objects that a value is, or holds as they are."""
    if isinstance(value, ast.Name | ast.Attribute | ast.Subscript):
        return {root(value)} - {None}
    if isinstance(value, ast.Tuple | ast.List):
        return set().union(*map(held_by, value.elts))
    if isinstance(value, ast.Dict):
        return set().union(*map(held_by, value.values))
    if isinstance(value, ast.Call):
        inside = [c.func.value for c in calls_of(value) if name_of(c) == "parameters"
                  and isinstance(c.func, ast.Attribute)]  # fmt: skip
        if name_of(value)[:1].isupper():  # a class: its object keeps what it was made of
            inside += [*value.args, *(k.value for k in value.keywords)]
        return set().union(*map(held_by, inside))
    return set()


def functions_held_by(value: ast.AST) -> Iterator[ast.Name | ast.Lambda]:
    """Yield the names and lambdas that a value is, or holds uncalled."""
    if isinstance(value, ast.Name | ast.Lambda):
        yield value
    inside: list[ast.AST] = []
    if isinstance(value, ast.Tuple | ast.List):
        inside = value.elts
    elif isinstance(value, ast.Dict):
        inside = value.values
    elif isinstance(value, ast.IfExp):
        inside = [value.body, value.orelse]
    elif isinstance(value, ast.Call) and name_of(value) in ("partial", "cache", "no_grad"):
        inside = value.args
    for each in inside:
        yield from functions_held_by(each)

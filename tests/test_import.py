"""Imports point one way, cost little, and fetch what is heavy only when it is used."""

import ast
import importlib
import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "course_utils"
HEAVY = {
    *("torchvision", "deeplake", "anywidget", "onnx", "sklearn", "skimage", "torchmetrics", "PIL"),
}

# What each part may import of the package at the top of its files. A part may always import itself.
COMPUTING = {"runtime", "provenance", "data", "models", "losses", "train", "checkpoint"}
MAY_IMPORT = {
    "errors": set(),
    "folders": set(),
    "console": set(),
    "provenance": set(),
    "runtime": {"provenance"},
    "data": {"runtime", "provenance"},
    "convolution": {"metrics"},
    "compact": set(),
    "gaussian": set(),
    "models": {"runtime", "gaussian"},
    "losses": {"runtime", "gaussian"},
    "metrics": {"runtime", "data", "losses", "gaussian"},
    "tagged": set(),
    "checkpoint": {"tagged"},
    "train": {"runtime", "data", "checkpoint", "losses"},
    "recipes": COMPUTING,
    "runs": COMPUTING | {"recipes"},
    "claims": {"runtime", "provenance", "console"},
    "codes": {"runtime"},
    "figure_format": set(),
    "plotting": {"data", "figure_format"},  # pixels as floats; how a notebook keeps a figure
    "notebook": {"runtime", "plotting"},  # images in the cells of a table
    "denoisers": {"metrics"},
    "sweeps": {"runtime", "recipes", "runs"},
    "estimators": COMPUTING | {"recipes"},
    "scoring": COMPUTING | {"recipes", "runs"},
    "doctor": {"runtime", "provenance"},
    "commands": {"runtime", "claims", "console"},
    "cli": {"commands", "console"},
    "check": {"runtime", "data", "losses", "models", "metrics"},
    "live": {"runtime", "models"},
    "faces": {"runtime", "data"},
    "__init__": set(),
    "__main__": {"cli"},
}
# every part may raise the course's error; all but the layers use files
WITHOUT_FILES = {"models", "losses", "folders", "tagged", "console"}
MAY_IMPORT = {
    part: needs | {"errors"} | (set() if part in WITHOUT_FILES else {"folders"})
    for part, needs in MAY_IMPORT.items()
    if part not in {"__init__", "errors"}
} | {"__init__": set(), "errors": set()}
WITHOUT_TORCH = (
    *(
        "errors",
        "console",
        "folders",
        "provenance",
        "runtime",
        "claims",
        "cli",
        "commands",
        "doctor",
    ),
    *("__init__", "__main__"),
)


def parts() -> dict[str, list[Path]]:
    """Return the files of each part: a module, or a folder with all that is in it."""
    found: dict[str, list[Path]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        inside = path.relative_to(PACKAGE).parts
        found.setdefault(inside[0].removesuffix(".py"), []).append(path)
    return found


def imported(tree: ast.AST, everywhere: bool) -> set[str]:
    """Return the dotted names that a file imports.

    Args:
        tree: of the file.
        everywhere: those inside functions too; else only what runs when the file is imported.
    """
    names = set()
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are written out, not relative"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif is_for_types_only(node):
            continue
        elif everywhere or not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            names |= imported(node, everywhere)
    return names


def is_for_types_only(node: ast.AST) -> bool:
    """Tell whether a node is `if TYPE_CHECKING: ...`."""
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def of_the_course(names: set[str], part: str) -> set[str]:
    """Return the other parts of the package among imported names."""
    ours = {name.split(".")[1] for name in names if name.startswith("course_utils.")}
    return {name for name in ours & set(parts()) if name != part}


def tree_of(path: Path) -> ast.AST:
    """Return the syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("part", parts())
def test_the_arrows_hold(part):
    assert part in MAY_IMPORT, f"say in MAY_IMPORT what {part} may import"
    for path in parts()[part]:
        beyond = of_the_course(imported(tree_of(path), everywhere=False), part) - MAY_IMPORT[part]
        assert not beyond, f"{path} imports {beyond}"


def test_the_arrows_make_no_circle():
    """So there is an order in which every part comes after all that it may import."""
    left = {part: MAY_IMPORT[part] & set(parts()) for part in parts()}
    while left:
        free = [part for part, needs in left.items() if not needs & set(left)]
        assert free, f"a circle among {sorted(left)}"
        for part in free:
            del left[part]


def test_the_package_never_leans_on_the_tools():
    """The commands, in a clone, are the one door; and it opens only when it is used."""
    for part, paths in parts().items():
        for path in paths:
            names = imported(tree_of(path), everywhere=part not in ("cli", "commands"))
            assert not any(name.split(".")[0] == "course_tools" for name in names), path


@pytest.mark.parametrize("part", parts())
def test_heavy_packages_are_imported_where_they_are_used(part):
    for path in parts()[part]:
        roots = {n.split(".")[0] for n in imported(tree_of(path), everywhere=False)}
        heavy = roots & HEAVY
        if part == "estimators":  # classes of scikit-learn cannot be defined without it
            heavy -= {"sklearn"}
        if part in WITHOUT_TORCH:
            heavy |= roots & {"torch", "numpy", "safetensors", "matplotlib", "tqdm"}
        assert not heavy, f"{path} imports {heavy} at its top"


def test_the_test_of_arrows_sees_an_arrow():
    """Of every way to write an import, and of none that only a type checker follows."""
    tree = ast.parse(
        "import course_utils.train\n"
        "from course_utils import claims as c\n"
        "from course_utils.data.idx import read\n"
        "try:\n    from course_utils import cli\nexcept ImportError: pass\n"
        "class A:\n    import course_utils.losses\n"
        "if TYPE_CHECKING:\n    from course_utils import bench\n"
        "def f():\n    from course_utils import plotting\n"
    )
    top = of_the_course(imported(tree, everywhere=False), "models")
    assert top == {"train", "claims", "data", "cli", "losses"}
    assert of_the_course(imported(tree, everywhere=True), "models") == top | {"plotting"}


def test_a_function_does_not_hide_its_module():
    """`import course_utils.metrics.features` must give the module, not a function of that name."""
    hidden = [
        module
        for part, paths in parts().items()
        for module in (".".join(p.relative_to(PACKAGE.parent).with_suffix("").parts) for p in paths)
        if module.count(".") > 1 and not module.endswith("__init__") and part != "__main__"
        and inspect.isfunction(getattr(importlib.import_module(module.rpartition(".")[0]),
                                       module.rpartition(".")[2], None))
    ]  # fmt: skip
    assert not hidden


# ----------------------------------------------------------------------------------- what it costs


def python(code: str) -> str:
    """Run code in a new process; return what it prints."""
    env = {**os.environ, "COURSE_SOURCE": "drawn"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_starts_at_once_loads_nothing_heavy():
    heavy = HEAVY | {"torch", "numpy", "safetensors", "matplotlib", "rich", "ipykernel"}
    loaded = python(
        "import sys;"
        f"import {', '.join(f'course_utils.{name}' for name in WITHOUT_TORCH[:-2])};"
        "print(*{name.split('.')[0] for name in sys.modules})"
    )
    assert not heavy & set(loaded.split())


def test_the_package_costs_next_to_nothing_beyond_torch():
    """0.1 s at most, by the time that the processor worked; another try where it was disturbed."""
    code = (
        "import time, torch; began = time.process_time();"
        "import course_utils, course_utils.runtime, course_utils.claims;"
        "import course_utils.models, course_utils.losses;"
        "print(time.process_time() - began)"
    )
    assert any(float(python(code)) < 0.1 for _ in range(3))


def test_importing_everything_computes_draws_and_fetches_nothing(tmp_path, monkeypatch):
    """No file is written, no random number drawn, and torchvision stays away."""
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COURSE_RUNS", str(tmp_path / "runs"))
    loaded = python(
        "import sys, torch; state = torch.get_rng_state();"
        "import course_utils.recipes, course_tools.bench, course_utils.scoring, course_utils.cli;"
        "assert torch.equal(state, torch.get_rng_state());"
        "print(*sys.modules)"
    )
    assert not HEAVY & set(loaded.split())
    assert list(tmp_path.iterdir()) == []

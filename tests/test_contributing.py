"""CONTRIBUTING.md says where each part of the code lives: what it names is there, and all of it."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (`.*?) \| (.*) \|$", TEXT.partition("## Rules that tests hold")[0], re.M)


def named(cell: str) -> list[Path]:
    """Return the paths of a row; a name without a folder lies beside the one before it."""
    first, *rest = (Path(name) for name in re.findall(r"`([^`]+)`", cell))
    return [ROOT / first, *(ROOT / (p if len(p.parts) > 1 else first.parent / p) for p in rest)]


@pytest.mark.parametrize("folder", ["course_utils", "course_tools"])
def test_every_module_and_folder_has_its_row(folder):
    known = {path for cell, _ in ROWS for path in named(cell)}
    parts = {
        p for p in (ROOT / folder).iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()
    }
    assert {p.name for p in parts - known if not p.name.startswith("__")} == set()


@pytest.mark.parametrize(("cell", "says"), ROWS, ids=[cell for cell, _ in ROWS])
def test_what_a_row_names_is_there(cell, says):
    """Its paths, and the words in backticks that are modules of its folder."""
    for path in named(cell):
        assert path.exists() or list(path.parent.glob(path.name)), path
    if cell.startswith("`course_") and cell.endswith("/`") and cell.count("/") == 2:
        words = re.findall(r"`(\w+)(?:\.\w+)?`", says)
        folders = [path for path in named(cell) if path.is_dir()]
        for word in set(words) - {"CourseError", "RECIPES", "course_tools"}:
            assert any((folder / f"{word}.py").exists() for folder in folders), word

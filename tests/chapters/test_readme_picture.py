"""The picture of the README is the one that chapter 01 stores, byte for byte."""

import base64
import re
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[2]


def stored_picture(name: str) -> bytes:
    """Return the PNG that the figure `name` of chapter 01 stores."""
    notebook = nbformat.read(ROOT / "notebooks" / "01_vanilla_autoencoder.ipynb", 4)
    for cell in notebook.cells:
        if cell.metadata.get("mystnb", {}).get("figure", {}).get("name") == name:
            return base64.b64decode(cell.outputs[-1].data["image/png"])
    raise AssertionError(f"chapter 01 has no figure {name}")


def test_the_readme_shows_the_chapters_own_figure():
    shown = re.search(r"!\[[^\]]{40,}\]\((\S+\.png)\)", (ROOT / "README.md").read_text("utf-8"))
    assert shown, "the README shows no picture, or one without a description"
    assert (ROOT / shown[1]).read_bytes() == stored_picture("fig-ae-wide")

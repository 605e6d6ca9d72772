"""Build the book from its stored outputs into _build/html, and check what came out.

Needs what requirements/book.txt installs, no torch. `make book` runs it in .venv.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from course_tools.site import pages

ROOT = Path(__file__).resolve().parents[2]
# what a page depends on; the environment decides its links to the repository
INPUTS = ("_config.yml", "_toc.yml", "requirements/book.txt", "course_utils/claims.py")
INPUTS += ("course_utils/provenance.py", "course_tools/chapters/cells.py")
INPUT_FOLDERS = ("book", "notebooks")
INPUT_VARIABLES = ("GITHUB_REPOSITORY", "GITHUB_SERVER_URL", "GITHUB_BASE_REF", "GITHUB_REF_NAME")
# jupyter-book has no `python -m`; its script's folder differs between systems
JUPYTER_BOOK = "import sys; from jupyter_book.cli.main import main; sys.exit(main())"
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
WARNING = re.compile(r"\b(?:WARNING|ERROR|CRITICAL|SEVERE)\b:?")


class BookFailed(Exception):
    """The book could not be built, or what was built has faults."""


def build(root: Path = ROOT) -> Path:
    """Build the book of the clone `root` from scratch and check its pages; return index.html.

    From scratch, because Sphinx forgets the warnings of pages that it does not read again.
    Raises BookFailed with the warnings or faults; the site is then put aside in
    _build/with-faults, so that it can be looked at and not be taken for the new one.
    """
    built = root / "_build"
    site, put_aside = built / "html", built / "with-faults"
    for stale in (site, put_aside, built / ".doctrees", built / "book.sha256"):
        remove(stale)
    inputs = digest(root)
    found = run_jupyter_book(root) or site_faults(site)
    if found:
        if site.is_dir():
            site.rename(put_aside)
        raise BookFailed("\n".join(["The book has faults:", *found]))
    (built / "book.sha256").write_text(inputs + "\n", encoding="utf-8")
    return site / "index.html"


def run_jupyter_book(root: Path) -> list[str]:
    """Run jupyter-book with every warning an error; return what it said when it failed."""
    # -n: nitpicky, an unresolved reference is a warning too; -q: nothing but warnings
    options = ["build", ".", "-W", "-n", "--keep-going", "-q"]
    done = subprocess.run(
        [sys.executable, "-c", JUPYTER_BOOK, *options],
        cwd=root,
        env=os.environ | {"PYTHONUTF8": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    said = COLOUR.sub("", done.stdout)
    # its exit status does not report every failure, so a printed warning counts as well
    if done.returncode or WARNING.search(said):
        return [*said.splitlines(), f"jupyter-book ended with status {done.returncode}"]
    return []


def site_faults(site: Path) -> list[str]:
    """Return the faults of the pages that were written."""
    return pages.faults(site) if (site / "index.html").is_file() else ["no index.html was written"]


def is_fresh(root: Path = ROOT) -> bool:
    """Tell whether _build/html was built from the files as they are now."""
    stamp = root / "_build" / "book.sha256"
    return stamp.is_file() and stamp.read_text(encoding="utf-8").strip() == digest(root)


def digest(root: Path = ROOT) -> str:
    """Return a hash of everything that the pages are made from."""
    total = hashlib.sha256()
    for path in input_files(root):
        total.update(path.relative_to(root).as_posix().encode() + b"\0")
        total.update(hashlib.sha256(path.read_bytes()).digest())
    for name in INPUT_VARIABLES:
        total.update(f"{name}={os.environ.get(name)}\0".encode())
    return total.hexdigest()


def input_files(root: Path) -> Iterator[Path]:
    """Yield the files that the pages are made from, in a fixed order."""
    yield from (root / name for name in INPUTS)
    for folder in INPUT_FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            hidden = any(part.startswith((".", "__")) for part in path.relative_to(root).parts)
            if path.is_file() and not hidden:
                yield path


def remove(path: Path) -> None:
    """Delete a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def main(words: list[str]) -> int:
    """Build, then print the path to open; the exit status is 1 when the book has faults."""
    parser = argparse.ArgumentParser(prog="make book", description="Build the book, and check it.")
    parser.add_argument(
        "--if-stale", action="store_true", help="unless it is as new as its sources"
    )
    if parser.parse_args(words).if_stale and is_fresh():
        return 0
    started = time.perf_counter()
    print("Building the book ...", flush=True)
    try:
        index = build()
    except BookFailed as error:
        print(error, file=sys.stderr)
        return 1
    seconds = time.perf_counter() - started
    number = len(pages.pages_of(index.parent))
    print(f"{number} pages in {seconds:.0f} s: no warning, no fault.")
    print(f"Open {index}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

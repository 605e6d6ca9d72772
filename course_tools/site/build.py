"""Build the book from its stored outputs into _build/html, and check what came out.

Needs what requirements/book.txt installs, no torch. `make book` runs it in .venv.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from course_tools.site import pages
from course_utils import console, folders

ROOT = Path(__file__).resolve().parents[2]
# what a page depends on, beside where it is published
INPUTS = ("_config.yml", "_toc.yml", "requirements/book.txt", "course_utils/claims.py")
INPUTS += ("course_utils/provenance.py", "course_tools/chapters/cells.py")
INPUT_FOLDERS = ("book", "notebooks", "course_tools/editions")
# jupyter-book has no `python -m`; its script's folder differs between systems
# a build whose parent was killed goes on writing for a while, so it has a lock of its own
JUPYTER_BOOK = (
    "import sys; from pathlib import Path; from course_utils import folders\n"
    "from jupyter_book.cli.main import main\n"
    "with folders.lock(Path('_build', '.writing'), 'a build that was cut off'):\n"
    "    sys.exit(main())\n"
)
NO_LINKS = ("No link", "No links")  # what the build says where a button to Colab is left out
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
WARNING = re.compile(r"\b(?:WARNING|ERROR|CRITICAL|SEVERE)\b:?")


class BookFailed(Exception):
    """The book could not be built, or what was built has faults."""


def build(root: Path = ROOT, if_stale: bool = False) -> Path:
    """Build the book of the clone `root` from scratch and check its pages; return index.html.

    From scratch, because Sphinx forgets the warnings of pages that it does not read again. Where
    another process is building this site, wait for it, and build only if it is not fresh then.
    Raises BookFailed with the warnings or faults; the site is then put aside in
    _build/with-faults, so that it can be looked at and not be taken for the new one.

    Args:
        root: of the clone.
        if_stale: do nothing where the site is as new as its sources.
    """
    built = root / "_build"
    site = built / "html"
    with folders.lock(built / ".lock", f"the book in {site}") as waited:
        if not ((waited or if_stale) and is_fresh(root)):
            build_anew(root, site)
    return site / "index.html"


def build_anew(root: Path, site: Path) -> None:
    """Replace the site by a new one; raise BookFailed as `build` does."""
    built, put_aside = site.parent, site.with_name("with-faults")
    stamp = built / "book.sha256"
    with folders.lock(built / ".writing", "a build that was cut off"):
        for stale in (stamp, site, put_aside, built / ".doctrees"):  # the word that it is fresh
            remove(stale)  # goes first
    inputs = digest(root)
    found = run_jupyter_book(root) or site_faults(site)
    if found:
        if site.is_dir():
            site.rename(put_aside)
        raise BookFailed("\n".join(["The book has faults:", *found]))
    folders.write_atomically(stamp, inputs + "\n")


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
    for line in said.splitlines():
        if line.startswith(NO_LINKS):
            print(line)
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
    total.update(links(root).encode())
    return total.hexdigest()


def links(root: Path) -> str:
    """Return where the pages' links to the repository lead, or why there are none."""
    spec = importlib.util.spec_from_file_location(
        "_where", root / "book" / "_ext" / "repository.py"
    )
    repository = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = repository  # its dataclass asks for it
    spec.loader.exec_module(repository)
    try:
        found = repository.find_repository(root)
    except repository.Unknown as error:
        return str(error)
    return f"{found} {sorted(found.files or ())} {sorted(found.handed_out)}"


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
    console.be_lenient()
    parser = argparse.ArgumentParser(prog="make book", description="Build the book, and check it.")
    parser.add_argument(
        "--if-stale", action="store_true", help="unless it is as new as its sources"
    )
    if_stale = parser.parse_args(words).if_stale
    if if_stale and is_fresh():
        return 0
    started = time.perf_counter()
    print("Building the book ...", flush=True)
    try:
        index = build(if_stale=if_stale)
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

"""Numbers of sweeps, kept with the course: they spare a full execution hours of training.

    python -m course_tools.chapters.numbers                    # put them where a notebook looks
    python -m course_tools.chapters.numbers --keep 07 mlp mlp_conv      # write book/numbers/07.json

What is kept is what `course_utils.sweeps` keeps of a run: metrics and history, no weights. It is
found by the hash of its recipe, settings, seed and data, so that numbers of another recipe are
never taken for those of this one; whoever doubts them deletes the file and trains.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from course_utils import console, folders
from course_utils.errors import CourseError
from course_utils.sweeps import FOLDER

KEPT = Path(__file__).resolve().parents[2] / "book" / "numbers"


def restore(kept: Path = KEPT) -> int:
    """Put all kept numbers below the folder of runs; return how many were not there.

    Args:
        kept: a folder of JSON files, as `keep` writes them.

    Raises CourseError for a file that is none of them, before anything is written.
    """
    found = {}
    for path in folders.listing(kept, "*.json"):
        content = folders.read_json(path)
        if not all(isinstance(one, dict) and "info" in one for one in content.values()):
            raise CourseError(f"{path} holds no numbers of runs; take it from the repository again")
        found |= content
    room = folders.make_folder(folders.runs_dir() / FOLDER)
    new = {name: one for name, one in found.items() if not folders.exists(room / f"{name}.json")}
    for name, one in new.items():
        folders.write_atomically(room / f"{name}.json", json.dumps(one) + "\n")
    return len(new)


def keep(chapter: str, recipes: list[str], kept: Path = KEPT) -> int:
    """Write the numbers of all full runs of some recipes, and of their variants; return how many.

    Args:
        chapter: names the file: "07".
        recipes: their names.
        kept: the folder of the file.

    Raises CourseError where a recipe has none.
    """
    room, found = folders.runs_dir() / FOLDER, {}
    for recipe in recipes:
        paths = folders.listing(room, f"{recipe}-full-s*.json")
        if not paths:
            raise CourseError(
                f"there are no numbers of {recipe!r} in {room}; run its chapter first"
            )
        found |= {path.stem: json.loads(folders.read_text(path)) for path in paths}
    lines = [f"{json.dumps(name)}: {json.dumps(one)}" for name, one in sorted(found.items())]
    folders.make_folder(kept)
    folders.write_atomically(kept / f"{chapter}.json", "{\n" + ",\n".join(lines) + "\n}\n")
    return len(found)


@console.command
def main(words: list[str]) -> None:
    """Do what the words name."""
    parser = argparse.ArgumentParser(
        prog="python -m course_tools.chapters.numbers",
        description="Put the kept numbers of sweeps where notebooks look for them.",
    )
    parser.add_argument("--keep", metavar="CHAPTER", help="write them instead: 07")
    parser.add_argument("recipes", nargs="*", metavar="RECIPE", help="with --keep: whose")
    chosen = parser.parse_args(words)
    if chosen.keep is None:
        print(f"{restore()} new numbers in {folders.runs_dir() / FOLDER}")
    else:
        print(f"{keep(chosen.keep, chosen.recipes)} runs in {KEPT / chosen.keep}.json")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

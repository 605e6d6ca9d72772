"""The GANs of chapter 06, side by side on one graphics card.

    python -m course_tools.gan_ladder pack FILE
    python -m course_tools.gan_ladder all --faces FILE --out DIR --seconds N

`pack` writes the faces of COURSE_DATA, or drawn ones, to one file of JPEGs under 40 MB. Every
network pair has a CUDA stream and two captured graphs, a whole step with and without the gradient
penalty, so that many small steps fill the card together; `train.fit_gan` trains one pair at a time,
so the steps are written here anew. Each is trained until it has seen its number of images, or the
seconds are over; then it is scored, and its samples, history and averaged generator go to DIR.
Without a card the same steps run one after the other, for trying the script.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from course_tools.gan_ladder import packing, rungs, running
from course_utils import console, data
from course_utils.errors import CourseError


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    made = argparse.ArgumentParser(
        prog="python -m course_tools.gan_ladder",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    tasks = made.add_subparsers(dest="task", required=True)
    to_file = tasks.add_parser("pack", help="write the faces to one file")
    to_file.add_argument("file", type=Path)
    for name, says in rungs.STAGES.items():
        stage = tasks.add_parser(name, help=says)
        stage.add_argument("--faces", type=Path, required=True, help="the packed file")
        stage.add_argument("--out", type=Path, required=True, help="folder of what comes out")
        stage.add_argument("--seconds", type=float, default=60, help="for everything")
        stage.add_argument("--reserve", type=float, default=15, help="of these, to score and write")
        stage.add_argument("--images", type=int, default=0, help="real images that a rung sees")
        stage.add_argument("--width", type=int, default=32, help="channels of the widest picture")
        stage.add_argument("--benchmark", action="store_true", help="let cuDNN try its kernels")
        stage.add_argument("--seed", type=int, default=0)
        stage.add_argument("--only", nargs="*", default=[], help="names of rungs")
        stage.add_argument("--keep", nargs="*", default=[], help="rungs whose weights are written")
    return made


def train(args: argparse.Namespace) -> None:
    """Train the rungs of a stage."""
    chosen = rungs.stage(args.task, args.width)
    unknown = {*args.only, *args.keep} - {rung.name for rung in chosen}
    if unknown:
        raise CourseError(
            f"no rung of stage {args.task} is named {', '.join(sorted(unknown))}; "
            f"there are {', '.join(rung.name for rung in chosen)}"
        )
    terms = running.Terms(args.faces, args.out, args.seconds, args.reserve, args.images, args.seed,
                          tuple(args.keep), args.benchmark)  # fmt: skip
    running.run([rung for rung in chosen if not args.only or rung.name in args.only], terms)


@console.command
def main(words: list[str] | None = None) -> None:
    """Run from the command line."""
    args = parser().parse_args(words)
    if args.task == "pack":
        people = data.faces(profile="full")
        size = packing.pack(people, args.file)
        print(f"{people.name}: {size / 1e6:.1f} MB in {args.file}")
    else:
        train(args)


if __name__ == "__main__":
    raise SystemExit(main())

"""`course bench --faces`: how long it takes to read LFW: in a plain loop, by the course, cached.

The loop opens each photograph with Pillow, crops, shrinks and stacks it, one after the other; both
start from the same Deep Lake store and end with the same faces (but for their outermost pixels: the
course's also weigh the first pixels beyond the crop). They take turns; medians are compared.
"""

from __future__ import annotations

import io
import statistics
import time
from pathlib import Path

import torch

from course_utils import data, runtime
from course_utils.data import decoding, store
from course_utils.errors import CourseError

ROUNDS = 3
COLUMNS = {  # of the printed table: what it is called there, and how it is formatted
    "photographs": ("photographs", "{:,}"),
    "plain_seconds": ("s, plain loop", "{:.2f}"),
    "course_seconds": ("s, course", "{:.2f}"),
    "decode_ratio": ("share", "{:.2f}"),
    "decode_cpu_ratio": ("of CPU time", "{:.2f}"),
    "cache_seconds": ("s, from the cache", "{:.2f}"),
}


def records(names: list[str], device: str | None = None, rounds: int = ROUNDS) -> list[dict]:
    """Return one flat record, in a list.

    Args:
        names: none; decoding has no recipe.
        device: None; photographs are decoded by the processor.
        rounds: of each way.

    Keys: `plain_seconds` and `course_seconds` are medians by the clock, `decode_ratio` the second
    over the first and `decode_cpu_ratio` the same of the process's CPU time; `cache_seconds` is the
    best time in which the decoded tensor is read and checked.

    Raises CourseError for names or a device, less than one round, and where there is no LFW.
    """
    if names or device:
        raise CourseError("--faces times the decoding of LFW, on the processor: no recipe")
    if rounds < 1:
        raise CourseError(f"{rounds} rounds measure nothing; give 1 or more")
    return [measure(data.COLLECTIONS["lfw"].find(insist=True), rounds)]


def measure(folder: Path, rounds: int) -> dict:
    """Return the record of a store."""
    ways = {"plain": plain, "course": lambda folder: decoding.decode(folder)[0]}
    wall: dict[str, list[float]] = {name: [] for name in ways}
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, decode in ways.items():
            began = time.perf_counter(), time.process_time()
            n = len(decode(folder))
            wall[name].append(time.perf_counter() - began[0])
            cpu[name].append(time.process_time() - began[1])
    decoding.cached(folder)  # kept from here on
    seconds, cpu_seconds = (
        {k: statistics.median(v) for k, v in each.items()} for each in (wall, cpu)
    )
    return {
        "photographs": n,
        "threads": torch.get_num_threads(),
        "device": runtime.device_label(torch.device("cpu")),
        "plain_seconds": round(seconds["plain"], 3),
        "course_seconds": round(seconds["course"], 3),
        "decode_ratio": round(seconds["course"] / seconds["plain"], 3),
        "decode_cpu_ratio": round(cpu_seconds["course"] / cpu_seconds["plain"], 3),
        "cache_seconds": round(min(timed(decoding.cached, folder) for _ in range(rounds)), 3),
    }


def plain(folder: Path) -> torch.Tensor:
    """Return the faces of a store (N, 3, 64, 64) uint8, by a loop over its photographs."""
    import numpy as np
    from PIL import Image

    box = [(250 - decoding.CROP) // 2] * 2 + [(250 + decoding.CROP) // 2] * 2
    faces = []
    for _, contents in store.jpegs(folder, at_once=1):
        photograph = Image.open(io.BytesIO(contents[0])).convert("RGB")
        small = photograph.crop(box).resize((decoding.SIDE,) * 2, Image.Resampling.BILINEAR)
        faces.append(torch.from_numpy(np.array(small)).permute(2, 0, 1))
    return torch.stack(faces)


def timed(work, *arguments) -> float:
    """Return how many seconds a call takes."""
    began = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - began

"""LFW from Activeloop's hub, which holds it in the format of Deep Lake 3.

Deep Lake 4 cannot open that format but can convert it. The conversion runs in a process of its own
and is ended when it takes too long: without a network it would try for ever.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from course_utils.data import store
from course_utils.errors import CourseError

ADDRESS = "hub://activeloop/lfw"
TIMEOUT = 900.0  # seconds; COURSE_HUB_TIMEOUT says another number
CONVERT = "import sys, deeplake; deeplake.convert(sys.argv[1], sys.argv[2])"


def photographs() -> dict[str, bytes]:
    """Return the JPEG bytes of the hub's photographs, by "Person_0001.jpg".

    A token in ACTIVELOOP_TOKEN is used by Deep Lake itself. Raises CourseError when Deep Lake is
    not installed, the hub does not answer in time, or holds other columns than images and names.
    """
    if not store.lake_runs():
        raise CourseError("the hub needs Deep Lake: pip install 'deeplake>=4.7,<5'")
    with tempfile.TemporaryDirectory() as temporary:
        converted = Path(temporary) / "lfw"
        convert(converted)
        return from_lake(converted)


def convert(to: Path) -> None:
    """Copy the hub's data set to the folder `to`; raise CourseError when that does not work."""
    limit = float(os.environ.get("COURSE_HUB_TIMEOUT", TIMEOUT))
    command = [sys.executable, "-c", CONVERT, ADDRESS, str(to)]
    try:
        done = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", timeout=limit,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise unreachable(f"no end after {limit:g} s; COURSE_HUB_TIMEOUT gives it more") from None
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise unreachable(lines[-1] if lines else f"it ended with status {done.returncode}")


def unreachable(why: str) -> CourseError:
    """Return the error for a hub that gives nothing."""
    return CourseError(
        f"{ADDRESS} could not be had ({why}); fetch the archive instead: course data lfw, or give "
        "one that you have: course data lfw --archive FILE"
    )


def from_lake(path: Path) -> dict[str, bytes]:
    """Return the photographs of a converted data set, numbered within each person."""
    import deeplake

    lake = deeplake.open_read_only(str(path))
    columns = {column.name for column in lake.schema.columns}
    if not {"images", "names"} <= columns:
        raise unreachable(f"it has the columns {', '.join(sorted(columns))}, not images and names")
    seen: Counter[str] = Counter()
    found = {}
    for row in range(len(lake)):
        person = str(lake["names"][row]).replace(" ", "_")
        seen[person] += 1
        found[f"{person}_{seen[person]:04d}.jpg"] = lake["images"].get_bytes(row)
    return found

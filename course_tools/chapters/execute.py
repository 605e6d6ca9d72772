"""Execute chapters in a fresh kernel, and stamp them with what they were executed with.

python -m course_tools.chapters.execute [--profile full|quick] [--record] [NAME ...]

A notebook is written back only when all of its cells ran; there is no other way to its stamp.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import math
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from ipykernel import kernelspec
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell
from tqdm import tqdm

from course_tools.chapters import claim_rules, rules, stored
from course_tools.chapters.cells import KERNEL, VERDICT, code_cells, code_sha256, stdout
from course_utils import claims, console, runtime
from course_utils.errors import CourseError

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
PROGRESS_BAR = re.compile(r"\[\d+:\d\d")  # "... [00:12<00:03, 8.1it/s]"
NOTEBOOK_KEYS = ("mystnb", "myst")  # metadata that authors write
CELL_KEYS = ("tags", "mystnb", "exercise")
START_SECONDS = 120  # for a kernel to come up on a busy machine
# asked of the kernel after the last cell: only it knows which data the cells worked on
PROBE = """
import json as _json
from course_utils import provenance as _provenance, runtime as _runtime
_used = _provenance.data_used().values()
print("\\n" + _json.dumps({
    "profile": _runtime.profile(), "data": {use.name: use.sha256 for use in _used},
    "versions": _provenance.versions(), "device": _provenance.device_label(_runtime.device()),
}))
"""


class CellFailed(Exception):
    """A cell of a notebook raised an error; the stored notebook is as it was."""


class OutOfTime(Exception):
    """The cells took longer than they may."""


class ThisPython(AsyncKernelManager):
    """Starts kernels in the running Python, whatever kernel the notebook or the user names."""

    @property
    def kernel_spec(self) -> KernelSpec:
        """The specification of that kernel."""
        return KernelSpec(resource_dir=kernelspec.RESOURCES, **kernelspec.get_kernel_dict())


def execute(
    names: list[str], profile: str = "full", record: bool = False, folder: Path = stored.FOLDER
) -> list[Path]:
    """Execute chapters, stamp them and write them back; return their files.

    Args:
        names: "01", "01_vanilla_autoencoder" or paths; all chapters when empty.
        profile: "full", or "quick" for a look (the tests refuse to publish it).
        record: put the judged claims into book/claims, in place of the chapter's earlier record.
        folder: where the chapters are.

    Raises CourseError for an unknown name, a notebook that grew too large, or a record of
    anything but a full run on real data; CellFailed when a cell raises.
    """
    if record and runtime.profile(profile) != "full":
        raise CourseError("claims are recorded from the full profile only; leave --record out")
    paths = stored.find(names, folder)
    for path in paths:
        nb = nbformat.read(path, as_version=4)
        recorded = {}
        with tempfile.TemporaryDirectory() as judged:
            stamp = run_cells(nb, path, profile, Path(judged) if record else None)
            refuse_unjudged(nb, path, stamp)
            clean(nb, stamp)
            refuse_large(nb, path)
            if record and not stored.is_exercise(path):
                recorded = read_records(Path(judged), path, nb)
        runtime.write_atomically(path, nbformat.writes(nb) + "\n")
        for chapter, content in recorded.items():
            runtime.write_atomically(claims.folder() / f"{chapter}.json", content)
        used = ", ".join(stamp["data"]) or "no data"
        print(f"{path.name}: {stamp['profile']}, {used}, {stamp['seconds']} s")
    return paths


# ---------------------------------------------------------------------------------- executing


def run_cells(
    nb: NotebookNode,
    path: Path,
    profile: str,
    judged: Path | None,
    seconds: float | None = None,
) -> dict:
    """Run all cells of `nb` in place; return the stamp.

    Args:
        nb: read from `path`; its kernel starts in that folder.
        profile: as COURSE_PROFILE for the kernel.
        judged: the folder for the records of judged claims.
        seconds: that the cells may take together; raises OutOfTime when they take more.
    """
    client = NotebookClient(
        nb,
        kernel_manager_class=ThisPython,
        kernel_name="python3",
        startup_timeout=START_SECONDS,
        timeout=None,
        record_timing=False,
        coalesce_streams=True,
        store_widget_state=False,
        resources={"metadata": {"path": str(path.parent)}},
    )
    # no widget keeps what it displays: it becomes an output of the cell, and stays on the page
    client.comm_open_handlers = {"jupyter.widget": lambda message: None}
    env = environment(profile, judged)
    if stored.is_exercise(path):
        env |= stored.AS_TESTED
    started = time.perf_counter()
    with client.setup_kernel(env=env, stderr=subprocess.DEVNULL):
        for index in tqdm(emptied(nb), path.stem, unit="cell", disable=None, leave=False):
            if seconds is not None:
                client.timeout = max(1, math.ceil(started + seconds - time.perf_counter()))
            run_cell(client, nb, index, path)
        stamp = ask(client)
    return stamp | {
        "code_sha256": code_sha256(nb),
        "seconds": round(time.perf_counter() - started, 1),
    }


def environment(profile: str, judged: Path | None) -> dict[str, str]:
    """Return the environment of a kernel."""
    # with another backend than the kernel's own, figures leave no picture
    unwanted = ("COURSE_RECORD", "MPLBACKEND")
    env = {name: value for name, value in os.environ.items() if name not in unwanted}
    env |= {"COURSE_PROFILE": runtime.profile(profile), "COURSE_PROGRESS": "0"}
    return env | ({"COURSE_RECORD": str(judged)} if judged else {})


def emptied(nb: NotebookNode) -> list[int]:
    """Take outputs and counts from all code cells; return the indices of these cells."""
    indices = [index for index, cell in enumerate(nb.cells) if cell.cell_type == "code"]
    for index in indices:
        nb.cells[index].outputs, nb.cells[index].execution_count = [], None
    return indices


def run_cell(client: NotebookClient, nb: NotebookNode, index: int, path: Path) -> None:
    """Run one cell; raise CellFailed, in words for the author, when it raises."""
    cell = nb.cells[index]
    try:
        client.execute_cell(cell, index)
    except CellExecutionError as error:
        said = f"{error.ename}: {COLOUR.sub('', error.evalue)}"
        raise CellFailed(f"{place(nb, index, path)}\n\n{indent(cell.source)}\n\n{said}") from None
    except CellTimeoutError:
        raise OutOfTime from None
    except DeadKernelError:
        raise CellFailed(
            f"{place(nb, index, path)}\n\nits kernel died; was there enough memory?"
        ) from None


def place(nb: NotebookNode, index: int, path: Path) -> str:
    """Return which cell failed, in words."""
    kinds = [cell.cell_type for cell in nb.cells]
    number, count = kinds[: index + 1].count("code"), kinds.count("code")
    return f"{path.name}: code cell {number} of {count} failed; the file is as it was"


def indent(source: str, most: int = 15) -> str:
    """Return the first lines of a cell, moved to the right."""
    lines = source.splitlines()
    shown = lines[:most] + (["..."] if len(lines) > most else [])
    return "\n".join("    " + line for line in shown)


def ask(client: NotebookClient) -> dict:
    """Ask the kernel what its cells worked with."""
    client.nb.cells.append(new_code_cell(PROBE))
    index = len(client.nb.cells) - 1
    try:
        probe = client.execute_cell(client.nb.cells[index], index)
    except CellExecutionError as error:
        raise CellFailed(f"the kernel does not tell its data: {error.evalue}") from None
    finally:
        del client.nb.cells[index]
    printed = "".join(output.get("text", "") for output in probe.outputs)
    return json.loads(printed.strip().splitlines()[-1])


# ------------------------------------------------------------------------------------ cleaning


def clean(nb: NotebookNode, stamp: dict) -> None:
    """Stamp a notebook, and leave in it only what does not change from run to run."""
    kept = {key: nb.metadata[key] for key in NOTEBOOK_KEYS if nb.metadata.get(key)}
    nb.metadata = nbformat.from_dict(
        kept
        | {
            "course": stamp,
            "kernelspec": KERNEL,
            "language_info": {"name": "python", "pygments_lexer": "ipython3"},
        }
    )
    name_cells(nb)
    for cell in nb.cells:
        kept = {key: cell.metadata[key] for key in CELL_KEYS if cell.metadata.get(key)}
        cell.metadata = nbformat.from_dict(kept)
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if not fleeting(output)]
            for output in cell.outputs:
                shorten(output)
                if "check" not in cell.metadata.get("tags", []):
                    output.get("data", {}).pop(VERDICT, None)  # for a grader; no page knows it


def fleeting(output: NotebookNode) -> bool:
    """Tell whether an output is a progress bar, or a widget, which shows nothing on a page."""
    if output.get("name") == "stderr":
        return all(PROGRESS_BAR.search(line) for line in output.text.split("\n") if line.strip())
    return any("widget-view" in kind for kind in output.get("data", {}))


def shorten(output: NotebookNode) -> None:
    """Reduce the traceback of an error that is meant to its last line; the rest names files."""
    if output.output_type == "error":
        output.evalue = COLOUR.sub("", output.evalue)
        output.traceback = [f"{output.ename}: {output.evalue}"]


def name_cells(nb: NotebookNode) -> None:
    """Give each cell that has no id one made from its source, the same on every machine."""
    nb.nbformat, nb.nbformat_minor = 4, 5
    taken = {cell.id for cell in nb.cells if cell.get("id")}
    for cell in nb.cells:
        number = 0
        while not cell.get("id"):
            made = hashlib.sha256(f"{number} {cell.source}".encode()).hexdigest()[:8]
            number += 1
            if made not in taken:
                cell.id = made
                taken.add(made)


def refuse_large(nb: NotebookNode, path: Path) -> None:
    """Raise CourseError when a notebook is too large to be kept in the repository."""
    size = len(nbformat.writes(nb).encode())
    if size >= rules.MEGABYTES * 1e6:
        raise CourseError(
            f"{path.name} would have {size / 1e6:.1f} MB, not less than {rules.MEGABYTES}; "
            "make its figures smaller or fewer (the file is as it was)"
        )


def refuse_unjudged(nb: NotebookNode, path: Path, stamp: dict) -> None:
    """Raise CellFailed when a full execution left claims unjudged: their data were not there."""
    if stamp["profile"] != "full" or stored.is_exercise(path):
        return
    printed = "\n".join(stdout(cell) for cell in code_cells(nb))
    if left := claim_rules.NOT_JUDGED_LINE.findall(printed):
        used = ", ".join(stamp["data"]) or "no data"
        raise CellFailed(
            f"{path.name}: not judged, since the cells used {used}: {', '.join(left)}; name the "
            "folder of the real data in COURSE_DATA (the file is as it was)"
        )


def read_records(judged: Path, path: Path, nb: NotebookNode) -> dict[str, str]:
    """Return the record file of the notebook's chapter, by its name, as it will be.

    It holds what the cells judged now and what other notebooks of the chapter judged; nothing
    older. Raises CourseError when claims of another chapter were judged.
    """
    stated = claims.load()
    chapter = stored.chapter_of(path, nb, stated)
    foreign = sorted(file.stem for file in judged.glob("*.json") if file.stem != chapter)
    if foreign:
        raise CourseError(f"{path.name} judges claims of chapter {', '.join(foreign)}")
    beside = stored.judged_beside(path, chapter, stated)
    old = {id: record for id, record in claims.records().items() if id in beside}
    fresh = judged / f"{chapter}.json"
    found = old | (claims.read_records(fresh) if fresh.exists() else {})
    return {chapter: claims.as_json({id: found[id] for id in stated if id in found})}


@console.command
def main(words: list[str]) -> int:
    """Execute what the words name; return the exit status: 1 where a cell failed."""
    parser = argparse.ArgumentParser(
        prog="python -m course_tools.chapters.execute",
        description="Execute chapters in a fresh kernel and stamp them.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="01 or 01_name; default: all")
    parser.add_argument("--profile", choices=runtime.PROFILES, default="full")
    parser.add_argument("--record", action="store_true", help="record the judged claims")
    chosen = parser.parse_args(words)
    try:
        execute(chosen.names, chosen.profile, chosen.record)
    except CellFailed as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        with contextlib.suppress(BrokenPipeError):
            print("interrupted; nothing was written", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

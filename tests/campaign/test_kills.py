"""A hundred kills at random moments: nothing of the user's is lost, nothing wrong is ever read, and
the next call finishes the work.

Each job is begun in a process of its own and gets SIGKILL some moment later, between its first
instruction and a little beyond its usual end. Then what is there is read, as a person's next
command would read it. Set CAMPAIGN_SEED for other moments.
"""

import dataclasses
import functools
import hashlib
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
import yaml
from commands import as_idx
from tqdm.auto import tqdm

from course_tools.site import build
from course_utils import checkpoint, data, folders, recipes, runs
from course_utils.data import cache, drawn
from course_utils.data.mnist_like import FILES, MNIST

SEED = int(os.environ.get("CAMPAIGN_SEED", "0"))
KILLS = {"fetching": 25, "drawing": 25, "training": 25, "executing": 13, "building": 12}
ROOT = Path(__file__).resolve().parents[2]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(os.name != "posix", reason="signals as on POSIX systems"),
    pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning"),  # one thread computes
]


def test_the_kills_are_a_hundred():
    assert sum(KILLS.values()) == 100


class Forked:
    """A job in a fork of this process, where torch is loaded already.

    tqdm's lock is shared with every fork: one that is killed while it holds the lock would stop
    all that come after it, so each takes a lock of its own.
    """

    def __init__(self, job: Callable[[], object]):
        self.process = multiprocessing.get_context("fork").Process(target=self.quietly, args=(job,))
        self.process.start()

    @staticmethod
    def quietly(job: Callable[[], object]) -> None:
        tqdm.set_lock(threading.RLock())
        with open(os.devnull, "w", encoding="utf-8") as nowhere:
            sys.stdout = sys.stderr = nowhere
            job()

    def end(self, seconds: float | None = None) -> int | None:
        """Wait for the end, some seconds at most; return the exit status, None before the end."""
        self.process.join(seconds)
        return self.process.exitcode

    def kill(self) -> None:
        self.process.kill()


class Spawned:
    """Code in a Python of its own."""

    def __init__(self, code: str, *arguments: object):
        command = [sys.executable, "-c", code, *map(str, arguments)]
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        out = subprocess.DEVNULL
        self.process = subprocess.Popen(command, stdout=out, stderr=out, env=env)

    def end(self, seconds: float | None = None) -> int | None:
        """Wait for the end, some seconds at most; return the exit status, None before the end."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        self.process.kill()


def finished(start: Callable) -> float:
    """Let a job end; return the seconds that it took."""
    began = time.monotonic()
    assert start().end() == 0, "the work could not be finished"
    return time.monotonic() - began


def killed(start: Callable, after: float) -> bool:
    """Start a job and kill it after some seconds; return whether it was still at work."""
    job = start()
    job.end(after)
    job.kill()
    return job.end() == -signal.SIGKILL


def campaign(
    kind: str, start: Callable, anew: Callable[[], object], look: Callable[[], object]
) -> str:
    """Kill a job KILLS[kind] times, look at what is there after each, let the last one finish.

    Args:
        kind: of the job.
        start: begins the work in a process; it goes on with what an earlier one left, or begins
            again.
        anew: takes away what the job made, so that there is work again.
        look: reads what is there as the next command would; fails where that is wrong.

    Returns a line that counts what happened.
    """
    rng = random.Random(f"{SEED} {kind}")
    anew()
    usual = finished(start)
    look()
    at_work = 0
    for _ in range(KILLS[kind]):
        if rng.random() < 0.5:  # else the next call meets what the last one left
            anew()
        at_work += killed(start, rng.uniform(0, 1.1 * usual))
        look()
    finished(start)
    look()
    return f"{kind}: {KILLS[kind]} kills, {at_work} of them at work ({usual:.2f} s)"


def leftovers(folder: Path) -> list[Path]:
    """Return what is half written below a folder."""
    return [path for path in folder.rglob("*") if path.name.endswith(".tmp")]


class Mine:
    """Files of the user's, in places where the course writes too."""

    def __init__(self, *paths: Path):
        self.contents = {path: f"mine: {path.name}".encode() for path in paths}
        for path, content in self.contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def check(self) -> None:
        """Fail unless all are there as they were."""
        for path, content in self.contents.items():
            assert path.read_bytes() == content, path


# --------------------------------------------------------------------------------------- the jobs


def test_fetching(tmp_path, monkeypatch, tell):
    rng = np.random.default_rng(0)
    mirror, root = tmp_path / "mirror", tmp_path / "data"
    mirror.mkdir()
    sums = {}
    for name, shape in zip(FILES, ((9000, 28, 28), (9000,), (900, 28, 28), (900,)), strict=True):
        content = as_idx(rng.integers(0, 10, shape, dtype=np.uint8))
        (mirror / name).write_bytes(content)
        sums[name] = hashlib.sha256(content).hexdigest()
    monkeypatch.setattr(MNIST, "sha256", sums)
    monkeypatch.setattr(MNIST, "mirrors", lambda: [])
    monkeypatch.setenv("COURSE_MIRROR", str(mirror))
    raw = root / "MNIST" / "raw"
    mine = Mine(
        root / "MNIST" / "notes.txt", raw / "own.npz", raw / f".{FILES[0]}.tmp", raw / "a.tmp"
    )

    def anew():
        for name in FILES:
            (raw / name).unlink(missing_ok=True)

    def look():
        mine.check()
        for name in FILES:  # whole and right, or not there
            assert MNIST.file(root, name) is None or MNIST.content(root, name)

    tell(campaign("fetching", lambda: Forked(lambda: MNIST.fetch(root)), anew, look))
    assert MNIST.verify(root)
    assert len(leftovers(root)) == 2  # the user's own


def test_drawing(tmp_path, monkeypatch, tell):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    expected, draw = drawn.digits(1500, seed=7), lambda: cache.drawn_images("digits", 1500, 7)
    kept = tmp_path / "drawn"
    mine = Mine(kept / "own.safetensors", kept / ".own.tmp", tmp_path / "notes.txt")

    def anew():
        for path in kept.glob("digits-*"):
            path.unlink()

    def look():
        mine.check()
        for path in kept.glob("digits-*.safetensors"):
            tensors, _ = folders.read_sealed(path)
            assert torch.equal(tensors["x"], expected[0]) and torch.equal(tensors["y"], expected[1])

    tell(campaign("drawing", lambda: Forked(draw), anew, look))
    assert len(list(kept.glob("digits-*.safetensors"))) == 1
    assert len(leftovers(tmp_path)) == 1


def test_training(tmp_path, tell):
    """What is resumed ends with the bytes of a training that nobody disturbed."""
    digits = data.mnist("drawn", profile="quick")
    parts = dataclasses.replace(
        digits, train=digits.train.head(300), val=digits.val.head(50), test=digits.test.head(50)
    )
    settings = recipes.Settings(epochs=12, batch_size=64, lr=3e-3)
    small = dataclasses.replace(recipes.get("ae"), quick=settings, data=lambda profile=None: parts)
    torch.optim.Adam([torch.zeros(1)])  # loads what every fork would load for seconds
    out = tmp_path / "runs" / "run"
    train = functools.partial(
        runs.run, small, 1, profile="quick", progress=False, device="cpu", resume=True
    )
    finished(lambda: Forked(lambda: train(out=tmp_path / "undisturbed")))
    mine = Mine(tmp_path / "runs" / "notes.txt", tmp_path / "runs" / ".draft.tmp")

    def anew():
        shutil.rmtree(out, ignore_errors=True)

    def look():
        mine.check()
        last = out / "checkpoint.safetensors"
        if last.exists():
            _, info = checkpoint.load(last)
            assert 1 <= len(info["history"]) <= settings.epochs
        if (out / "run.json").exists():
            same("weights.safetensors")

    def same(name):
        assert (out / name).read_bytes() == (tmp_path / "undisturbed" / name).read_bytes()

    tell(campaign("training", lambda: Forked(lambda: train(out=out)), anew, look))
    same("weights.safetensors")
    same("history.csv")
    assert leftovers(out) == []


EXECUTE = (
    "import sys; from pathlib import Path; from course_tools.chapters import execute\n"
    "execute.refuse_unjudged = lambda *args: None\n"
    "execute.execute(['01'], 'quick', folder=Path(sys.argv[1]))\n"
)


def test_executing(tmp_path, tell):
    """The notebook is the old one or the executed one, whole."""
    cells = [nbformat.v4.new_code_cell(f"x = {i}\nx + {i}") for i in range(8)]
    nb = nbformat.v4.new_notebook(cells=cells)
    nb.metadata["kernelspec"] = {"name": "python3", "display_name": "p", "language": "python"}
    path = tmp_path / "01_chapter.ipynb"
    mine = Mine(tmp_path / "notes.md", tmp_path / ".draft.tmp")

    def anew():
        nbformat.write(nb, path)

    def look():
        mine.check()
        outputs = [bool(cell.outputs) for cell in nbformat.read(path, as_version=4).cells]
        assert len(outputs) == 8 and len(set(outputs)) == 1

    tell(campaign("executing", lambda: Spawned(EXECUTE, tmp_path), anew, look))
    assert nbformat.read(path, as_version=4).cells[3].outputs[0]["data"]["text/plain"] == "6"


BUILD = (
    "import sys; from pathlib import Path; from course_tools.site import build\n"
    "build.pages.faults = lambda site: []  # of pages that are not the book's\n"
    "build.build(Path(sys.argv[1]), if_stale=True)\n"
)


def small_book(folder: Path) -> None:
    """Make a clone of two pages."""
    for name in ("_config.yml", "book", "requirements"):
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, folder / name)
    for name in ("course_utils", "course_tools"):
        shutil.copytree(ROOT / name, folder / name)
    (folder / "notebooks").mkdir()
    for page in (folder / "book").glob("*.md"):
        page.unlink()
    for name in ("intro", "more"):
        (folder / "book" / f"{name}.md").write_text(f"# A page: {name}\n\nWords.\n", "utf-8")
    toc = {"format": "jb-book", "root": "book/intro", "chapters": [{"file": "book/more"}]}
    (folder / "_toc.yml").write_text(yaml.safe_dump(toc), encoding="utf-8")


def test_building(tmp_path, tell):
    """A site that is called fresh is whole."""
    root = tmp_path / "clone"
    root.mkdir()
    small_book(root)
    site = root / "_build" / "html"
    mine = Mine(root / "_build" / "notes.txt", root / "book" / ".draft.tmp")

    def anew():
        (root / "_build" / "book.sha256").unlink(missing_ok=True)

    def look():
        mine.check()
        if build.is_fresh(root):
            for name in ("intro", "more"):
                page = (site / "book" / f"{name}.html").read_text(encoding="utf-8")
                assert f"A page: {name}" in page and page.rstrip().endswith("</html>")

    tell(campaign("building", lambda: Spawned(BUILD, root), anew, look))
    assert build.is_fresh(root)

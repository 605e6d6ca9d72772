"""Two hundred random damages to what is kept on disk: each is told in words, or changes nothing.

Set CAMPAIGN_SEED for other damages.
"""

import dataclasses
import gzip
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from commands import publish

from course_utils import checkpoint, claims, data, recipes, runs
from course_utils.data import cache
from course_utils.data.mnist_like import FILES, MNIST
from course_utils.errors import CourseError

SEED = int(os.environ.get("CAMPAIGN_SEED", "0"))
DAMAGES = {"data": 60, "drawings": 40, "checkpoints": 30, "runs": 40, "records": 30}
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_the_damages_are_two_hundred():
    assert sum(DAMAGES.values()) == 200


# ------------------------------------------------------------------------------- ways to do damage


def flip_a_bit(content: bytearray, rng: random.Random) -> bytes:
    place = rng.randrange(8 * len(content))
    content[place // 8] ^= 1 << place % 8
    return content


def cut_short(content: bytearray, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content))]


def overwrite(content: bytearray, rng: random.Random) -> bytes:
    start, length = rng.randrange(len(content)), rng.randint(1, 600)
    content[start : start + length] = rng.randbytes(len(content[start : start + length]))
    return content


def zero(content: bytearray, rng: random.Random) -> bytes:
    """As a disk does that loses a block."""
    start = rng.randrange(len(content)) // 512 * 512
    content[start : start + 512] = bytes(len(content[start : start + 512]))
    return content


def lose_the_middle(content: bytearray, rng: random.Random) -> bytes:
    start = rng.randrange(len(content))
    del content[start : start + rng.randint(1, 600)]
    return content


def grow(content: bytearray, rng: random.Random) -> bytes:
    return content + rng.randbytes(rng.randint(1, 600))


def change_a_digit(content: bytearray, rng: random.Random) -> bytes:
    """As a slip of the hand in an editor does."""
    places = [i for i, byte in enumerate(content) if chr(byte).isdigit()] or [0]
    place = rng.choice(places)
    content[place] = ord(rng.choice([d for d in "0123456789" if d != chr(content[place])]))
    return content


def become_another_file(content: bytearray, rng: random.Random) -> bytes:
    return rng.choice([b"", b"<html>404 Not Found</html>", b"{}", b"[]", gzip.compress(b"digits")])


WAYS = (
    flip_a_bit, flip_a_bit, cut_short, overwrite, zero, lose_the_middle, grow, change_a_digit,
    become_another_file,
)  # fmt: skip


def campaign(kind: str, files: list[Path], read: Callable[[], object], same: Callable) -> str:
    """Damage one of the files DAMAGES[kind] times; return a line that counts what happened.

    Args:
        kind: of the files.
        files: whole; each is restored after its damage.
        read: what a person's next command reads. It raises CourseError for what it finds damaged.
        same: tells whether what was read is what it was before.
    """
    rng = random.Random(f"{SEED} {kind}")
    before = read()
    told = harmless = 0
    for number in range(DAMAGES[kind]):
        path = files[number % len(files)]
        whole, damaged = path.read_bytes(), None
        while damaged is None or damaged == whole:
            way = rng.choice(WAYS)
            damaged = bytes(way(bytearray(whole), rng))
        path.write_bytes(damaged)
        try:
            now = read()
        except CourseError as error:
            told += 1
            assert "\n" not in str(error) and len(str(error)) > 20
        else:
            harmless += 1
            assert same(before, now), f"{way.__name__} of {path.name} went unnoticed"
        path.write_bytes(whole)
    assert same(before, read())
    return f"{kind}: {DAMAGES[kind]} damages, {told} told, {harmless} harmless"


def same_tensors(one, other) -> bool:
    """Tell whether two dicts or sequences of tensors are equal."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


# ---------------------------------------------------------------------------------------- the files


@pytest.mark.parametrize("packed", [True, False])
def test_data(tmp_path, monkeypatch, tell, packed):
    raw = publish(tmp_path, monkeypatch)
    if not packed:
        for path in raw.glob("*.gz"):
            path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
            path.unlink()
    files = [MNIST.file(tmp_path, name) for name in FILES]
    monkeypatch.setitem(DAMAGES, "data", DAMAGES["data"] // 2)
    tell(campaign("data", files, lambda: MNIST.read(tmp_path), same_tensors))
    data.forget()


def test_drawings(tmp_path, monkeypatch, tell):
    """What is damaged is drawn anew: the images are always the right ones."""
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    cache.drawn_images("digits", 40, 3)
    (path,) = (tmp_path / "drawn").glob("digits-*")

    def read():
        return cache.drawn_images("digits", 40, 3)

    tell(campaign("drawings", [path], read, same_tensors))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a small recipe, the folder of its finished run, and a checkpoint of it."""
    digits = data.mnist("drawn", profile="quick")
    parts = dataclasses.replace(
        digits, train=digits.train.head(200), val=digits.val.head(50), test=digits.test.head(50)
    )
    settings = recipes.Settings(epochs=3, batch_size=64, lr=3e-3)
    recipe = dataclasses.replace(
        recipes.get("ae"),
        model_args={"widths": (8,), "output": "tanh"},
        quick=settings,
        data=lambda profile=None: parts,
    )
    folder = tmp_path_factory.mktemp("trained") / "run"
    run = runs.run(recipe, 0, profile="quick", out=folder, progress=False, device="cpu")
    runs.measured(run, "a number", lambda: 0.125)
    model = recipe.build()
    optimizer = torch.optim.Adam(model.parameters())
    last = folder.parent / "checkpoint.safetensors"
    parts = {"model": model, "optimizer": optimizer}
    checkpoint.save_training(last, parts, {"history": [{"epoch": 1, "loss": 0.5}]})
    return recipe, folder, last


def test_checkpoints(trained, tell):
    _, _, last = trained

    def same(one, other):
        return same_tensors(one[0], other[0]) and one[1].items() <= other[1].items()

    tell(campaign("checkpoints", [last], lambda: checkpoint.load(last), same))


def test_runs(trained, tell):
    """Weights, history, description and measured numbers of a finished run."""
    recipe, folder, _ = trained
    names = ("run.json", "weights.safetensors", "history.csv", "measured.json")

    def read():
        run = runs.load(folder, recipe)
        return run, runs.measured(run, "a number", lambda: 0.125)

    def same(one, other):
        return (
            same_tensors(one[0].model.state_dict(), other[0].model.state_dict())
            and (one[0].history, one[0].metrics) == (other[0].history, other[0].metrics)
            and one[0].info.items() <= other[0].info.items()
            and one[1] == other[1]
        )

    tell(campaign("runs", [folder / name for name in names], read, same))


def test_records(tmp_path, tell):
    """The committed ones: a value, a spread or a date that changed is no record any more."""
    copies = []
    for path in sorted(claims.folder().glob("*.json")):
        copies.append(tmp_path / path.name)
        copies[-1].write_bytes(path.read_bytes())

    def read():
        found = claims.records(tmp_path)
        if absent := sorted(set(claims.records()) - set(found)):
            raise CourseError(
                f"course claims --check names {absent}"
            )  # and the book does not build
        return found

    def same(one, other):
        """A record whose word `seal` was damaged has it as one word more."""
        return all(one[id].items() <= other[id].items() for id in one)

    tell(campaign("records", copies, read, same))

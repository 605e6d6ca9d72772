"""The weekly check's steps for LFW, rehearsed: its own commands, against a server on this machine.

What stays untried is what no test can hold: that the mirror is still there and serves these bytes.
"""

import re
import shlex
from pathlib import Path

import lfw_like
import pytest
import yaml
from commands import course
from serving import served

from course_tools import tasks
from course_tools.chapters import execute, stored
from course_utils import data
from course_utils.data import lfw, store

ROOT = Path(__file__).resolve().parents[2]


def lfw_steps() -> list[tuple[list[str], dict[str, str]]]:
    """Return the words behind `course` and the environment of the steps from `data lfw` on."""
    text = (ROOT / ".github/workflows/weekly.yml").read_text("utf-8")
    steps = yaml.safe_load(text)["jobs"]["full"]["steps"]
    words = [(shlex.split(step.get("run", "")), step.get("env", {})) for step in steps]
    first = next(i for i, (word, _) in enumerate(words) if word[1:] == ["data", "lfw"])
    assert all(word[0] == ".venv/bin/course" for word, _ in words[first:])
    return [(word[1:], env) for word, env in words[first:]]


@pytest.fixture
def mirrored(small_lfw, few_photographs, monkeypatch):
    """Give the file that a stand-in for the published mirror serves."""
    folder = small_lfw / "served"
    folder.mkdir()
    packed = lfw_like.archive(folder / "5976015", few_photographs, "lfw_funneled")
    with served(folder) as address:
        published = f"{address}/5976015", store.sha256_of(packed)
        monkeypatch.setitem(lfw.MIRRORS, "funneled", published)
        yield packed


def test_its_commands_fetch_verify_and_execute(mirrored, monkeypatch):
    """They are those of the file, so that neither can change alone."""
    (fetch, none), (verify, nothing), (book, env) = lfw_steps()
    assert none == nothing == {}
    assert course(*fetch).exit_code == 0
    verified = course(*verify)
    assert verified.exit_code == 0
    assert "is what was published: 24 funneled photographs" in " ".join(verified.output.split())

    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert data.faces().name == "lfw (funneled)"  # and does not draw any
    executed, built = [], []
    monkeypatch.setattr(execute, "execute", lambda *given: executed.append(given))
    monkeypatch.setattr(tasks, "main", lambda given: built.append(given) or 0)
    assert course(*book).exit_code == 0
    ((names, profile, record),) = executed
    assert (profile, record, built) == ("quick", False, [["book"]])
    chosen = [path.name for path in stored.find(names)]
    assert chosen == ["06_gan_faces.ipynb", "06_gan_game.ipynb"]


def test_an_archive_that_is_not_the_published_one_ends_the_check(mirrored):
    mirrored.write_bytes(mirrored.read_bytes()[:-1] + b"?")
    fetched = course(*lfw_steps()[0][0])
    assert fetched.exit_code == 2 and "is not the published one" in " ".join(fetched.output.split())
    assert not list(mirrored.parents[1].rglob(store.MANIFEST))


def test_the_mirror_that_it_asks_is_the_published_one():
    """What the test above puts another in the place of."""
    address, sha256 = lfw.MIRRORS["funneled"]
    assert re.fullmatch(r"https://ndownloader\.figshare\.com/files/5976015", address)
    assert re.fullmatch(r"[0-9a-f]{64}", sha256)

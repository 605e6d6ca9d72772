"""`course bench --faces`: two ways to the same faces, and what it refuses."""

import json

import pytest
import torch
from commands import course, refused

from course_tools import decoding as bench
from course_utils.data import archive, store
from course_utils.data import decoding as decoder
from course_utils.errors import CourseError


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """Return a store of 24 photographs, which the command takes for LFW."""
    import sys
    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).parent / "data"))
    import lfw_like

    from course_utils import data

    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    store.build(tmp_path / "store", lfw_like.photographs(), "funneled")
    monkeypatch.setattr(
        type(data.COLLECTIONS["lfw"]), "find", lambda self, insist=False: tmp_path / "store"
    )
    assert archive.SIDE == 250
    return tmp_path / "store"


def test_the_plain_loop_makes_the_same_faces(kept):
    ours, plain = decoder.decode(kept)[0], bench.plain(kept)
    assert ours[..., 1:-1, 1:-1].equal(plain[..., 1:-1, 1:-1])
    assert (ours.int() - plain.int()).abs().float().mean() < 1  # at the edges


def test_the_command_prints_a_table_and_writes_a_flat_record(kept, tmp_path):
    done = course("bench", "--faces", "--rounds", "1", "--json", tmp_path / "faces.json")
    assert done.exit_code == 0, done.output
    (row,) = json.loads((tmp_path / "faces.json").read_text())
    assert row["photographs"] == 24 and row["threads"] == torch.get_num_threads()
    ratio = row["course_seconds"] / row["plain_seconds"]
    assert row["decode_ratio"] == pytest.approx(ratio, rel=0.2)
    assert "share" in done.stdout.splitlines()[0]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["ae", "--faces"], "no recipe"),
        (["--faces", "--busy"], "one at a time"),
    ],
)
def test_mistakes_end_with_status_2(kept, words, says):
    assert says in refused("bench", *words)


def test_no_rounds_measure_nothing(kept):
    with pytest.raises(CourseError, match="give 1 or more"):
        bench.records([], rounds=0)

"""`course bench --busy`: the same run alone and beside other work, and what its numbers mean."""

import json
import subprocess
import time
from types import SimpleNamespace

import pytest
from commands import course, refused, tiny_recipe

from course_tools import busy
from course_utils import recipes, runtime
from course_utils.errors import CourseError


@pytest.fixture
def tiny(monkeypatch):
    """Add a recipe that trains in a moment; let other processes be one, at work at once."""
    monkeypatch.setitem(recipes.RECIPES, "tiny", tiny_recipe())
    monkeypatch.setattr(runtime, "cores", lambda: {0})
    monkeypatch.setattr(busy, "BEGUN", 0.05)


def test_the_command_prints_a_table_and_writes_flat_records(tiny, tmp_path):
    done = course("bench", "tiny", "--busy", "--rounds", "1", "--json", tmp_path / "busy.json")
    assert done.exit_code == 0, done.output
    (row,) = json.loads((tmp_path / "busy.json").read_text())
    assert row["busy_ratio"] == pytest.approx(row["busy_seconds"] / row["alone_seconds"], abs=0.02)
    assert row["busy_processes"] == 1 and row["data"] == "drawn digits"
    assert all(isinstance(value, str | int | float | None) for value in row.values())
    header, line = done.stdout.splitlines()
    assert "beside others" in header and line.split()[-1] == f"{row['busy_ratio']:.2f}"


def test_medians_of_runs_in_turns_are_compared(tiny, monkeypatch):
    """The first run, which reads data and warms up, is left out."""
    times = iter([99.0, 1.0, 3.0, 2.0, 8.0, 4.0, 50.0])  # warm, then alone and busy in turns
    run = SimpleNamespace(info={"data": "d", "device": "cpu", "threads": 2})
    monkeypatch.setattr(busy, "train", lambda *args: (next(times), run))
    row = busy.measure("tiny", None, rounds=3)
    assert (row["alone_seconds"], row["busy_seconds"], row["busy_ratio"]) == (2.0, 8.0, 4.0)


def test_the_processes_compute_and_end_with_the_block(tiny, monkeypatch):
    started = []
    begin = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *a: started.append(begin(*a)) or started[-1])
    try:
        with pytest.raises(KeyboardInterrupt), busy.busy_cores() as count:
            assert count == len(started) == 1 and started[0].poll() is None
            raise KeyboardInterrupt
        deadline = time.monotonic() + 10
        while started[0].poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert started[0].poll() is not None
    finally:  # a test that fails leaves no process that would slow down all that comes after
        for process in started:
            process.kill()


def test_what_measures_nothing_is_refused():
    assert "unknown" in refused("bench", "tinny", "--busy")
    with pytest.raises(CourseError, match="measure nothing"):
        busy.records(["ae"], rounds=0)
    with pytest.raises(CourseError, match="device"):
        busy.records(["ae"], device="tpu")

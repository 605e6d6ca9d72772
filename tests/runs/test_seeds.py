"""Several seeds of a recipe, one after another and side by side."""

import json
import signal
import subprocess
import time
from dataclasses import replace

import pytest
from commands import tiny_recipe
from small_runs import interrupted, run, weights

from course_utils import checkpoint, data, recipes, runtime, train
from course_utils import runs as course_runs
from course_utils.errors import CourseError
from course_utils.runs import seeds, workers

DRAWN = {"COURSE_SOURCE": "drawn"}


def test_run_seeds(recipe, runs, monkeypatch):
    monkeypatch.setitem(recipes.RECIPES, "ae", recipe)
    made = recipes.run_seeds("ae", 2, progress=False)
    assert [r.seed for r in made] == [0, 1] and made[0].path != made[1].path
    assert len(recipes.run_seeds("ae", progress=False)) == recipe.seeds_in() == 1


@pytest.mark.parametrize("n", [0, -1, 2.0, "2", True])
@pytest.mark.parametrize("name", ["n", "at_once"])
def test_a_number_of_seeds_that_is_none_is_refused_before_anything_is_written(runs, n, name):
    arguments = {"n": 2} | {name: n}
    with pytest.raises(CourseError, match=f"{name}.* is {n!r}; it must be a whole number, 1 or mo"):
        course_runs.run_seeds("ae", **arguments)
    assert not runs.exists()


@pytest.mark.parametrize("seed", ["0", True, 2.0, -1, 20_000_000_000_000, 2**31])
def test_a_seed_that_is_none_is_refused_before_anything_is_written(runs, seed):
    with pytest.raises(CourseError, match=r"seed is .*must be a whole number, from 0 to 2,1"):
        course_runs.run("ae", seed)
    assert not runs.exists()


# ------------------------------------------------------------------------------ what is worth while


def sleepy(seconds):
    """Return a way to fit that takes a time for every batch."""

    def fit(recipe, settings, model, loaders, **loop):
        for _ in range(settings.epochs):
            for _ in loaders["train"]:
                time.sleep(seconds)
        return [{"epoch": i + 1} for i in range(settings.epochs)]

    return fit


@pytest.mark.parametrize("seconds", [0.02, 0.6])
def test_a_probe_of_a_few_steps_foretells_the_time(seconds):
    recipe = tiny_recipe(fit=sleepy(seconds))  # 3 epochs of 5 batches
    found = seeds.estimated_seconds(seeds.plan(recipe, 0, "quick"))
    assert found == pytest.approx(15 * seconds, rel=0.5)


def test_a_probe_that_fails_is_left_to_the_training():
    wild = tiny_recipe(quick=recipes.Settings(epochs=3, batch_size=100, lr=1e38))
    assert seeds.estimated_seconds(seeds.plan(wild, 0, "quick")) == 0.0


def test_a_finished_run_tells_how_long_another_takes(recipe, runs, monkeypatch):
    run(recipe, seed=1)
    plans = [seeds.plan(recipe, seed, "quick") for seed in range(2)]
    monkeypatch.setattr(seeds, "estimated_seconds", lambda one: pytest.fail("this is known"))
    assert not seeds.takes_long(plans)
    monkeypatch.setattr(seeds, "WORTHWHILE", -1.0)  # a tiny run may take 0.0 s
    assert seeds.takes_long(plans)


def test_how_many_run_at_once(monkeypatch):
    monkeypatch.setattr(runtime, "cores", lambda: set(range(8)))
    monkeypatch.setattr(runtime, "free_memory", lambda: 1e12)
    plans = [seeds.plan(recipes.get("ae"), seed, "quick") for seed in range(5)]
    assert seeds.how_many_at_once(plans, 1, None) == 5
    assert seeds.how_many_at_once(plans, 1, 3) == 3
    assert seeds.how_many_at_once(plans[:1], 1, None) == 1
    assert seeds.how_many_at_once(plans, 2, None) == 1
    monkeypatch.setattr(runtime, "free_memory", lambda: 4e9)
    assert seeds.how_many_at_once(plans, 1, None) == 2
    monkeypatch.setattr(runtime, "free_memory", lambda: 1e8)
    assert seeds.how_many_at_once(plans, 1, None) == 1


def test_only_what_another_process_can_build_is_sent_to_one(recipe):
    ae = recipes.get("ae")
    assert seeds.can_be_told(ae) and seeds.can_be_told(ae.variant(lr=0.5, epochs=2))
    assert not seeds.can_be_told(recipe)  # its data is known here alone
    assert not seeds.can_be_told(ae.variant(loss=lambda model, x, y: {}))
    assert not seeds.can_be_told(replace(ae, name="of a notebook"))


# ------------------------------------------------------------------------------------- side by side


@pytest.fixture
def long(runs, monkeypatch):
    """Return a variant of `ae` that counts as long, in a folder of runs of its own."""
    monkeypatch.setenv("COURSE_SOURCE", "drawn")
    monkeypatch.setattr(seeds, "WORTHWHILE", 0.0)
    monkeypatch.setattr(runtime, "cores", lambda: {0, 1})
    return recipes.get("ae").variant(epochs=2, data=data.mnist)


def test_side_by_side_gives_the_bytes_of_one_by_one(long, tmp_path, monkeypatch):
    sent, engaged = [], []
    start, engage = workers.Crew.start, workers.Crew.engage
    monkeypatch.setattr(
        workers.Crew,
        "start",
        lambda crew, one, *rest: sent.append(one.seed) or start(crew, one, *rest),
    )
    monkeypatch.setattr(workers.Crew, "engage", lambda crew: engaged.append(1) or engage(crew))
    made = course_runs.run_seeds(long, 3, profile="quick", progress=False)
    assert sent == [0, 1, 2] and len(engaged) == 2  # the third goes to whoever is free first
    monkeypatch.setenv("COURSE_RUNS", str(tmp_path / "one by one"))
    alone = course_runs.run_seeds(long, 3, at_once=1, profile="quick", progress=False)
    assert sent == [0, 1, 2] and [one.seed for one in made] == [0, 1, 2]
    assert list(map(weights, made)) == list(map(weights, alone))
    for one, other in zip(made, alone, strict=True):
        assert one.history == other.history and one.metrics == other.metrics
        assert one.info["threads"] == other.info["threads"] == 1
        assert one.info["code"] == other.info["code"]


def order(recipe, **changes) -> str:
    """Return what a worker is told of the quick run of a recipe."""
    description = course_runs.describe(recipe, 0, "quick", recipe.data(profile="quick"))
    return json.dumps(description | {"resume": True} | changes)


def start(told: str, in_background: bool = False) -> subprocess.Popen:
    """Start a worker as its parent does, or a parent that is a shell's background job."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.SIG_IGN if in_background else signal.default_int_handler)
    try:
        worker = subprocess.Popen(workers.COMMAND, text=True, env=workers.environment(), **pipes)
    finally:
        signal.signal(signal.SIGINT, before)
    worker.stdin.write(told + "\n")
    worker.stdin.flush()
    return worker


@pytest.mark.slow
@pytest.mark.parametrize("in_background", [False, True])
def test_a_worker_stops_with_its_parent_and_keeps_its_epochs(long, runs, in_background):
    """Its standard input ends when the parent is told to stop, and when it is killed."""
    many = long.variant(epochs=10_000)
    worker = start(order(many), in_background)
    lines = [worker.stdout.readline() for _ in range(2)]
    assert lines[0].startswith("Data: ") and workers.as_report(lines[1])["epoch"] == 1
    worker.stdin.close()
    try:
        assert worker.wait(60) == 130
    finally:  # one that goes on would train for hours
        worker.kill()
        worker.stdout.close()
    (folder,) = runs.iterdir()
    _, info = checkpoint.load(folder / "checkpoint.safetensors")
    assert len(info["history"]) >= 1 and info["run"]["threads"] == 1


@pytest.mark.slow
def test_ctrl_c_stops_all_and_the_next_call_goes_on(long, runs, tmp_path, monkeypatch):
    many = long.variant(epochs=12)
    rows, started = [], []
    next_row, popen = workers.Crew.next_row, subprocess.Popen

    def interrupted_after_six(crew):
        if len(rows) == 6:
            raise KeyboardInterrupt
        rows.append(next_row(crew))
        return rows[-1]

    with monkeypatch.context() as patch:
        patch.setattr(workers.Crew, "next_row", interrupted_after_six)
        patch.setattr(
            subprocess, "Popen", lambda *a, **b: started.append(popen(*a, **b)) or started[-1]
        )
        with pytest.raises(train.Interrupted, match=r"0 of 2 runs are finished.*call it again"):
            course_runs.run_seeds(many, 2, profile="quick", progress=False)
    assert [worker.poll() for worker in started] == [130, 130]
    kept = [checkpoint.load(p / "checkpoint.safetensors")[1]["history"] for p in runs.iterdir()]
    assert len(kept) == 2 and all(0 < len(history) < 12 for history in kept)
    made = course_runs.run_seeds(many, 2, profile="quick", progress=False)
    monkeypatch.setenv("COURSE_RUNS", str(tmp_path / "whole"))
    whole = course_runs.run_seeds(many, 2, at_once=1, profile="quick", progress=False)
    assert list(map(weights, made)) == list(map(weights, whole))


@pytest.mark.slow
def test_a_run_that_fails_stops_the_others_and_says_why(long, runs, monkeypatch):
    wild = long.variant(lr=1e38, epochs=3)
    monkeypatch.setattr(seeds, "takes_long", lambda plans: True)  # a probe would fail, too
    with pytest.raises(train.Diverged, match=r"seed [01]: .*Lower the learning rate"):
        course_runs.run_seeds(wild, 2, profile="quick", progress=False)


@pytest.mark.slow
def test_a_worker_that_dies_is_told_with_its_last_words(long, runs):
    crew = workers.Crew()
    one = seeds.plan(long, 0, "quick")
    crew.start(replace(one, description=one.description | {"seed": []}), resume=True)
    try:
        with pytest.raises(CourseError, match="seed 0: seed is "):
            crew.next_row()
    finally:
        crew.dismiss()
    crew = workers.Crew()
    crew.start(replace(one, description={"recipe": "ae", "seed": 0}), resume=True)
    with pytest.raises(CourseError, match=r"(?s)seed 0 ended with status 1.*KeyError"):
        crew.next_row()


def test_what_is_no_report_is_not_taken_for_one():
    assert workers.as_report("Data: mnist (3)\n") == {} == workers.as_report("3\n")
    assert workers.as_report('{"epoch": 2}\n') == {"epoch": 2}


def test_a_resumed_run_goes_on_with_its_threads(recipe, tmp_path, monkeypatch):
    """Whatever the machine is busy with by then, and whatever is asked for."""
    monkeypatch.setenv("COURSE_THREADS", "2")
    interrupted(recipe, tmp_path, after=1)
    monkeypatch.setenv("COURSE_THREADS", "1")
    assert run(recipe, out=tmp_path, threads=1).info["threads"] == 2
    afresh = run(recipe, out=tmp_path / "x", threads=1)
    assert afresh.info["threads"] == 1 and ", 1 thread)" in afresh.info["device"]

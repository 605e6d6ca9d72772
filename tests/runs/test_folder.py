"""Nothing passes for a run but a run, and nobody's files are touched."""

import multiprocessing
import os
import time
from dataclasses import replace

import pytest
from small_runs import changes, interrupted, never, run

from course_utils import checkpoint, folders, recipes, train
from course_utils import runs as course_runs
from course_utils.errors import CourseError


def test_load(finished, recipe):
    assert recipes.load(finished, recipe).metrics["test_sse"] > 0


def test_load_finds_the_recipe_by_name(recipe, runs, monkeypatch):
    monkeypatch.setitem(recipes.RECIPES, "ae", recipe)
    made = recipes.run("ae", progress=False)
    loaded = recipes.load(made.path)
    assert loaded.recipe is recipe and loaded.metrics == made.metrics


def test_a_folder_without_a_run(tmp_path):
    for folder in (tmp_path, tmp_path / "gone"):
        with pytest.raises(CourseError, match=r"holds no run \(no run.json\)"):
            recipes.load(folder)
    (tmp_path / "checkpoint.safetensors").touch()
    with pytest.raises(CourseError, match="an unfinished run; finish it with --resume"):
        recipes.load(tmp_path)


def test_a_run_of_another_architecture(finished, recipe):
    other = changes(recipe)["width"]
    with pytest.raises(CourseError, match=r"weights\.safetensors holds the weights of another"):
        recipes.load(finished, other)


@pytest.mark.parametrize("name", ["run.json", "weights.safetensors", "history.csv"])
@pytest.mark.parametrize("keep", [None, 0, 0.5])
def test_a_truncated_run(finished, recipe, name, keep):
    """A file that is gone, empty, or cut in half; whichever it is, the message names it."""
    path = finished / name
    content = path.read_bytes()
    path.unlink()
    if keep is not None:
        path.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(CourseError, match=name.replace(".", r"\.")):
        recipes.load(finished, recipe)


def change_info(folder, **changed):
    """Change entries of run.json."""
    info = folders.read_json(folder / "run.json")
    folders.write_json(folder / "run.json", info | changed)


def test_a_run_from_a_newer_course(finished, recipe):
    change_info(finished, format=checkpoint.FORMAT + 1)
    with pytest.raises(CourseError, match="newer version of the course"):
        recipes.load(finished, recipe)


def test_a_run_of_an_unknown_recipe(finished):
    change_info(finished, recipe="from the future")
    with pytest.raises(CourseError, match="'from the future' is unknown"):
        recipes.load(finished)


def test_weights_that_run_json_does_not_describe(finished, recipe):
    """A flipped bit, or another run's file of the same shape, is noticed."""
    path = finished / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(CourseError, match=r"what was written|run\.json describes"):
        recipes.load(finished, recipe)


@pytest.mark.parametrize("what", ["lr", "width", "data", "loss"])
def test_a_folder_with_another_run_is_refused(recipe, tmp_path, what):
    run(recipe, out=tmp_path)
    with pytest.raises(CourseError, match="other settings or data; choose another folder"):
        run(changes(recipe)[what], out=tmp_path)


def test_weights_of_another_run_are_noticed(finished, recipe, tmp_path):
    """Of the same shapes, whole, and sealed: only run.json knows better."""
    other = run(recipe, seed=1, out=tmp_path / "other")
    (finished / "weights.safetensors").write_bytes(
        (other.path / "weights.safetensors").read_bytes()
    )
    with pytest.raises(CourseError, match=r"weights.* is not the file that run\.json describes"):
        course_runs.load(finished, recipe)


def test_a_changed_history_or_metric_is_noticed(finished, recipe):
    history, info = finished / "history.csv", finished / "run.json"
    before = history.read_text()
    history.write_text(before.replace("1", "2", 1))
    with pytest.raises(CourseError, match=r"history\.csv is not the file that run\.json"):
        course_runs.load(finished, recipe)
    history.write_text(before)
    info.write_text(info.read_text().replace('"test_sse": ', '"test_sse": 1'))
    with pytest.raises(CourseError, match=r"run\.json is damaged"):
        course_runs.load(finished, recipe)


# ------------------------------------------------------------------------- what belongs to somebody


THEIRS = {
    "a note": ["notes.txt"],
    "a hidden folder": [".tmpnotes/idea.txt"],
    "a session": [".session.tmp"],
    "a draft": [".tmp-draft.md"],
    "a history": ["history.csv"],
    "weights": ["weights.safetensors"],
    "measurements": ["measured.json"],
    "a folder": ["history.csv.d/x"],
    "much": [f"{i}.txt" for i in range(9)],
}


def contents(folder) -> dict:
    """Return all files below a folder and what is in them."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("what", THEIRS)
@pytest.mark.parametrize("resume", [True, False])
def test_a_folder_with_anything_else_is_refused_before_any_training(
    recipe, tmp_path, what, resume, monkeypatch
):
    for name in THEIRS[what]:
        (tmp_path / "m" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "m" / name).write_text("mine")
    before = contents(tmp_path)
    broken = replace(recipe, fit=never)
    shown = THEIRS[what][0].split("/")[0].replace(".", r"\.")
    with pytest.raises(CourseError, match=rf"belongs to no run of the course \({shown}.*--out"):
        run(broken, out=tmp_path / "m", resume=resume)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("resume", [True, False])
def test_a_foreign_checkpoint_is_neither_resumed_nor_overwritten(recipe, tmp_path, resume):
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(b"of another program")
    with pytest.raises(CourseError, match="cannot be read as a checkpoint of the course"):
        run(recipe, out=tmp_path, resume=resume)
    assert path.read_bytes() == b"of another program"


@pytest.mark.parametrize("resume", [True, False])
def test_another_runs_checkpoint_is_neither_resumed_nor_overwritten(recipe, tmp_path, resume):
    interrupted(recipe, tmp_path, after=1)
    before = contents(tmp_path)
    with pytest.raises(CourseError, match="unfinished run with other settings"):
        run(changes(recipe)["lr"], out=tmp_path, resume=resume)
    assert contents(tmp_path) == before


def test_what_lies_beside_a_run_survives_its_end_and_its_loading(recipe, tmp_path):
    """Put there while it was interrupted: refused; while it was finished: nobody minds."""
    interrupted(recipe, tmp_path, after=1)
    (tmp_path / ".session.tmp").write_text("mine")
    with pytest.raises(CourseError, match=r"\(\.session\.tmp\)"):
        run(recipe, out=tmp_path)
    (tmp_path / ".session.tmp").unlink()
    made = run(recipe, out=tmp_path)
    (tmp_path / ".session.tmp").write_text("mine")
    assert run(recipe, out=tmp_path).metrics == made.metrics
    assert (tmp_path / ".session.tmp").read_text() == "mine"


def test_what_the_system_puts_into_folders_is_no_reason_to_refuse(recipe, tmp_path):
    (tmp_path / ".DS_Store").write_bytes(b"\0")
    assert run(recipe, out=tmp_path).metrics and (tmp_path / ".DS_Store").exists()


# ---------------------------------------------------------------------------------- shared machines


def test_all_files_of_a_run_have_the_modes_that_the_umask_gives(recipe, tmp_path):
    before = os.umask(0o022)
    try:
        made = run(recipe, out=tmp_path / "open")
        os.umask(0o077)
        closed = run(recipe, out=tmp_path / "closed")
    finally:
        os.umask(before)
    assert {p.stat().st_mode & 0o777 for p in made.path.iterdir()} == {0o644}
    assert {p.stat().st_mode & 0o777 for p in closed.path.iterdir()} == {0o600}


@pytest.mark.parametrize("name", ["weights.safetensors", "run.json", "history.csv", ""])
def test_no_permission_is_called_by_its_name(finished, recipe, name, ordinary_user):
    """And nobody is told to delete a good run."""
    for folder in (finished, *finished.parents[:2]):
        folder.chmod(0o755)
    (finished / name).chmod(0)
    with ordinary_user(), pytest.raises(CourseError, match="no permission") as caught:
        course_runs.load(finished, recipe)
    assert "delete" not in str(caught.value) and "train" not in str(caught.value)


def test_a_locked_folder_is_told_before_training(recipe, tmp_path, ordinary_user):
    (tmp_path / "locked").mkdir(mode=0o500)
    (tmp_path / "hidden").mkdir(mode=0)
    for out in ("locked/run", "locked", "hidden/run", "hidden/a/b"):
        with ordinary_user(), pytest.raises(CourseError, match="no permission"):
            run(replace(recipe, fit=never), out=tmp_path / out)


def test_a_name_too_long_is_told(recipe, tmp_path):
    with pytest.raises(CourseError, match="the name is too long"):
        run(replace(recipe, fit=never), out=tmp_path / ("x" * 300))


def test_a_home_is_found_by_its_sign(recipe, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert run(recipe, out="~/run").path == (tmp_path / "run").resolve()


# -------------------------------------------------------------------------------------- two at once


@pytest.mark.skipif(os.name != "posix", reason="forks")
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")  # one thread computes
def test_the_second_waits_says_so_and_finds_the_work_done(recipe, tmp_path, capfd):
    """Of three processes one trains, two wait, all report the same run."""
    fork = multiprocessing.get_context("fork")
    results = fork.Queue()

    def train_it():
        epochs = []
        made = run(
            recipe, out=tmp_path / "run", on_epoch=lambda row: epochs.append(row) or time.sleep(0.2)
        )
        results.put((made.info["weights_sha256"], len(epochs)))

    processes = [fork.Process(target=train_it) for _ in range(3)]
    for process in processes:
        process.start()
    found = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    assert {process.exitcode for process in processes} == {0}
    assert len({sha256 for sha256, _ in found}) == 1
    assert sorted(epochs for _, epochs in found) == [0, 0, 3]
    said = capfd.readouterr().err
    assert said.count(f"waiting for the run in {tmp_path / 'run'}") == 2, said
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == [
        "history.csv", "run.json", "weights.safetensors",
    ]  # fmt: skip


def test_a_run_that_fails_leaves_no_lock_behind(recipe, tmp_path):
    def fails(*args, **options):
        raise train.Diverged("the loss is NaN")

    with pytest.raises(train.Diverged):
        run(replace(recipe, fit=fails), out=tmp_path)
    assert list(tmp_path.iterdir()) == []

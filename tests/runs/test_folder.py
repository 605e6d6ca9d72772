"""Nothing passes for a run but a run, and nobody's files are touched."""

import pytest
from small_runs import changes, run

from course_utils import checkpoint, folders, recipes
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

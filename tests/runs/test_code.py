"""The code behind a run: what changes its numbers changes the hash, and nothing else does."""

import importlib
import json
import sys
from dataclasses import replace

import pytest
from commands import tiny_recipe
from small_runs import run

from course_utils import folders, losses, provenance, recipes, train
from course_utils import runs as course_runs
from course_utils.errors import CourseError
from course_utils.runs import code, folder

MODULE = '''
"""A loss in a module of its own."""

from course_utils import losses

WEIGHT = 2.0
NAMES = {"error": losses.squared_error}


def helper(x: int, by: float = 1.0):
    """Return x, scaled."""
    # a comment
    if by < 0:
        raise ValueError("by is negative")
    return x * WEIGHT * by


class Base:
    """What the model has in common."""

    def size(self):
        return 3


def loss(model, x, y, **arguments):
    """Return the loss."""
    return {"loss": helper(losses.reconstruction(model, x, y)["loss"]) * Base().size()}
'''


@pytest.fixture
def hash_of(tmp_path, monkeypatch):
    """Return a function: source of a module with a `loss` -> hash of a recipe with that loss."""
    monkeypatch.syspath_prepend(tmp_path)
    count = iter(range(1000))

    def found(source: str) -> str:
        name = "a_loss"
        (tmp_path / f"{name}.py").write_text(source + f"\n# {next(count)}" * next(count))
        importlib.invalidate_caches()
        sys.modules.pop(name, None)
        code._hash.cache_clear()
        module = importlib.import_module(name)
        try:
            return code.code_hash(tiny_recipe(loss=module.loss))
        finally:
            del sys.modules[name]

    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    yield found
    sys.dont_write_bytecode = before
    code._hash.cache_clear()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("WEIGHT = 2.0", "WEIGHT = 2.5"),
        ("x * WEIGHT * by", "x * WEIGHT / by"),
        ("by: float = 1.0", "by: float = 1.5"),
        ("return 3", "return 4"),
        ("losses.reconstruction(", "losses.reconstruction_pm1("),
        ("if by < 0", "if by <= 0"),
    ],
)
def test_what_changes_a_number_changes_the_hash(hash_of, old, new):
    """In the loss itself, in what it calls, in a constant, in a class, in a default."""
    assert old in MODULE
    assert hash_of(MODULE) != hash_of(MODULE.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    # a comment\n", ""),
        ("Return x, scaled.", "Scale x."),
        ('    """Return the loss."""\n', ""),
        ("x: int, by: float", "x, by"),
        ('"by is negative"', '"by must not be negative"'),
        ("WEIGHT = 2.0", "WEIGHT  =  2.0; UNUSED = 3"),
        ("def loss(", "def another():\n    return 7\n\n\ndef loss("),
        ("def helper(", "\n\n\n\n\ndef helper("),
    ],
)
def test_what_changes_none_does_not(hash_of, old, new):
    assert old in MODULE
    assert hash_of(MODULE) == hash_of(MODULE.replace(old, new))


def test_the_helpers_of_the_course_count_and_its_loop_by_version(monkeypatch):
    recipe = recipes.get("vae")
    names: dict = {}
    for thing in (recipe.model, recipe.loss):
        code.gather(thing, names, {"course_utils"})
    assert any(name.endswith("kl_standard_normal") for name in names)
    assert not any(".train." in name or ".runtime" in name for name in names)
    before = code.code_hash(recipe)
    monkeypatch.setattr(train, "LOOP_VERSION", train.LOOP_VERSION + 1)
    assert code.code_hash(recipe) != before


def test_another_model_loss_fit_or_score_is_other_code():
    recipe = tiny_recipe()
    others = [
        replace(recipe, model=recipes.get("vae").model),
        replace(recipe, loss=losses.reconstruction),
        replace(recipe, fit=lambda *a, **b: []),
        replace(recipe, score=lambda *a: {}),
    ]
    assert len({code.code_hash(one) for one in [recipe, *others]}) == 5


def test_code_without_source_is_known_by_its_instructions():
    """As what is typed into a plain interpreter."""
    found = {}
    for what in ("x + 1", "x + 2"):
        names: dict = {}
        exec(f"def loss(x): return {what}", names)
        names["loss"].__module__ = "__main__"
        found[what] = code.code_hash(tiny_recipe(loss=names["loss"]))
    assert len(set(found.values())) == 2


# --------------------------------------------------------------------------------------- stale runs


@pytest.fixture
def used():
    """Return a function: the runs of a recipe that this process uses, remembered from now on."""
    provenance.forget()
    folder.say_once.cache_clear()
    yield provenance.runs_used
    provenance.forget()


def test_a_run_of_todays_code_is_not_stale(recipe, runs, used, capsys):
    for _ in range(2):
        run(recipe)
    (kept,) = used("ae")
    assert kept.stale is None and kept.device.startswith("cpu (") and kept.versions["torch"]
    assert "stale" not in capsys.readouterr().err


def test_a_run_of_other_code_is_loaded_said_once_and_told_to_the_claims(
    recipe, runs, used, monkeypatch, capsys
):
    made = run(recipe)
    monkeypatch.setattr(train, "LOOP_VERSION", train.LOOP_VERSION + 1)
    for _ in range(2):
        assert run(recipe).metrics == made.metrics
    assert "other code" in used("ae")[0].stale
    assert capsys.readouterr().err.count("runs of ae are stale, made with other code") == 1


def test_a_run_from_before_there_was_a_hash_is_stale(recipe, runs, used):
    """Format 1, without seal, hash of the history, threads and precision."""
    made = run(recipe)
    info = folders.read_json(made.path / "run.json")
    for name in ("code", "threads", "precision", "history_sha256"):
        del info[name]
    (made.path / "run.json").write_text(json.dumps(info | {"format": 1}))
    assert run(recipe).metrics == made.metrics
    assert "before runs kept which code" in used("ae")[0].stale
    history = made.path / "history.csv"
    history.write_text("".join(history.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(CourseError, match=r"history\.csv has \d of \d epochs"):
        run(recipe)


def test_a_training_that_is_resumed_with_other_code_is_stale(recipe, tmp_path, monkeypatch, used):
    from small_runs import interrupted

    interrupted(recipe, tmp_path, after=1)
    monkeypatch.setattr(train, "LOOP_VERSION", train.LOOP_VERSION + 1)
    made = run(recipe, out=tmp_path)
    assert "other code" in used("ae")[0].stale
    assert course_runs.load(tmp_path, recipe).info["code"] == made.info["code"]

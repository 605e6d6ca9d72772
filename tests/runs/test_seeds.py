"""Several seeds of a recipe, one after another and side by side."""

from course_utils import recipes


def test_run_seeds(recipe, runs, monkeypatch):
    monkeypatch.setitem(recipes.RECIPES, "ae", recipe)
    made = recipes.run_seeds("ae", 2, progress=False)
    assert [r.seed for r in made] == [0, 1] and made[0].path != made[1].path
    assert len(recipes.run_seeds("ae", progress=False)) == recipe.seeds_in() == 1

"""A run is known by everything that its result depends on, and by nothing else."""

from dataclasses import replace

from small_runs import changes, key


def test_whatever_changes_the_result_changes_the_key(recipe):
    keys = [key(recipe), key(recipe, seed=1), *map(key, changes(recipe).values())]
    assert len(set(keys)) == len(keys)


def test_what_changes_no_result_does_not(recipe):
    same = replace(recipe, says="another sentence", full=replace(recipe.full, epochs=1),
                   seeds=9)  # fmt: skip
    assert key(same) == key(recipe)

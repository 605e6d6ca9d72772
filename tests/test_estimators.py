"""The estimator: scikit-learn's own checks, and the numbers of the loop it stands on."""

import numpy as np
import pytest
import torch
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from course_utils import data, losses, train
from course_utils.errors import CourseError
from course_utils.estimators import DenoisingAutoencoder
from course_utils.models import DenoisingMLP

SMALL = {"hidden_units": 8, "epochs": 3, "batch_size": 16, "random_state": 0}


@parametrize_with_checks(
    [
        DenoisingAutoencoder(hidden_units=4, epochs=2),
        DenoisingAutoencoder((6, 3), "relu", masked=0.2, l1_activations=0.1, epochs=2),
    ]
)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.fixture
def rows():
    """Return 100 rows of 12 numbers that lie near a plane."""
    rng = np.random.default_rng(0)
    return (rng.normal(size=(100, 3)) @ rng.normal(size=(3, 12))).astype(np.float32)


def test_it_computes_what_fit_computes(rows):
    estimator = DenoisingAutoencoder(**SMALL, sigma=0.1).fit(rows)
    seed = estimator._seed
    torch.manual_seed(seed)
    model = DenoisingMLP((8,), image_shape=(12,))
    batches = data.Batches(
        torch.tensor(rows), torch.zeros(100, dtype=torch.int64), 16, seed=seed, shuffle=True
    )
    torch.manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    history = train.fit(
        model, lambda m, x, y: losses.denoising(m, x, sigma=0.1), batches, epochs=3,
        optimizer=optimizer, progress=False,
    )  # fmt: skip
    assert np.array_equal(estimator.weights_[0].T, model.encoder[1].weight.detach().double())
    assert estimator.history_ == [row["train_loss"] for row in history]


def test_passes_one_by_one_learn_too(rows):
    estimator = DenoisingAutoencoder(**SMALL | {"lr": 1e-2})
    for _ in range(40):
        estimator.partial_fit(rows)
    assert estimator.n_passes_ == len(estimator.history_) == 40
    assert estimator.history_[-1] < 0.3 * estimator.history_[0]
    mean = np.square(rows - rows.mean(0)).sum(1).mean()
    assert -estimator.score(rows) < 0.3 * mean


def test_hidden_units_and_rows_by_hand(rows):
    estimator = DenoisingAutoencoder(**SMALL).fit(rows)
    (w_1, w_2), (b_1, b_2) = estimator.weights_, estimator.biases_
    hidden = np.logaddexp(0, rows.astype(float) @ w_1 + b_1)
    assert np.allclose(estimator.transform(rows), hidden, atol=1e-5)
    restored = hidden @ w_2 + b_2
    assert np.allclose(estimator.inverse_transform(hidden), restored, atol=1e-5)
    assert np.allclose(estimator.reconstruct(rows), restored, atol=1e-5)
    cost = 0.5 * np.square(restored - rows).sum()
    assert estimator.total_cost(rows) == pytest.approx(cost, rel=1e-5)
    assert estimator.score(rows) == pytest.approx(-2 * cost / 100, rel=1e-5)


def test_generating_needs_no_argument(rows):
    estimator = DenoisingAutoencoder(**SMALL).fit(rows)
    assert estimator.generate().shape == (1, 12)
    assert np.array_equal(estimator.generate(n_samples=3), estimator.generate(n_samples=3))
    hidden = estimator.transform(rows)
    assert np.allclose(estimator.generate(hidden), estimator.reconstruct(rows), atol=1e-5)
    spread = estimator.generate(n_samples=2000).mean(0)
    from_means = estimator.inverse_transform(hidden.mean(0)[None])[0]  # the decoder is linear
    assert np.allclose(spread, from_means, atol=0.2)


def test_several_layers_and_names(rows):
    estimator = DenoisingAutoencoder((10, 4), epochs=1, random_state=0).fit(rows)
    assert [w.shape for w in estimator.weights_] == [(12, 10), (10, 4), (4, 10), (10, 12)]
    names = list(estimator.get_feature_names_out())
    assert names == [f"denoisingautoencoder{i}" for i in range(4)]


def test_it_works_in_a_pipeline_and_a_search(rows):
    steps = make_pipeline(StandardScaler(), DenoisingAutoencoder(**SMALL | {"lr": 1e-2}))
    grid = {"denoisingautoencoder__hidden_units": [1, 8]}
    search = GridSearchCV(steps, grid, cv=2).fit(rows)
    assert search.best_params_ == {"denoisingautoencoder__hidden_units": 8}
    assert search.transform(rows).shape == (100, 8)


def test_numbers_of_numpy_are_numbers(rows):
    """A random search hands them out."""
    theirs = {"epochs": np.int64(2), "batch_size": np.int32(50), "lr": np.float32(0.5)}
    ours = {name: value.item() for name, value in theirs.items()}
    a, b = (DenoisingAutoencoder(**SMALL | some).fit(rows) for some in (theirs, ours))
    assert np.array_equal(a.weights_[0], b.weights_[0])


def test_the_worlds_random_numbers_are_left_alone(rows):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    DenoisingAutoencoder(**SMALL).fit(rows).partial_fit(rows)
    assert torch.equal(torch.rand(1), expected)


def test_settings_that_make_no_sense_are_refused(rows):
    for wrong, words in (
        ({"lr": -1}, "lr is -1"),
        ({"optimizer": "adm"}, "optimizer 'adm' is unknown"),
        ({"activation": "swish"}, "activation 'swish' is unknown"),
        ({"hidden_units": 0}, "widths are"),
        ({"sigma": -0.1}, "sigma is -0.1"),
        ({"epochs": 0}, "epochs"),
        ({"l1_weights": -1.0}, "both are 0 or more"),
    ):
        with pytest.raises(CourseError, match=words):
            DenoisingAutoencoder(**SMALL | wrong).fit(rows)
    estimator = DenoisingAutoencoder(**SMALL).fit(rows)
    with pytest.raises(CourseError, match="3 hidden units a row; this network has 8"):
        estimator.inverse_transform(np.zeros((2, 3)))
    with pytest.raises(CourseError, match="n_samples is 0"):
        estimator.generate(n_samples=0)

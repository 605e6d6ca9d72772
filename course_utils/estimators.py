"""A denoising autoencoder with scikit-learn's interface: a thin class over `train.fit`."""

from __future__ import annotations

import functools
import numbers

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array, check_is_fitted, validate_data
from torch import nn

from course_utils import data, losses, train
from course_utils.errors import CourseError
from course_utils.models import DenoisingMLP
from course_utils.recipes.recipe import Settings, make_optimizer, make_schedule


class DenoisingAutoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Hidden units that restore rows of numbers from noisy ones, in pipelines and grid searches.

        features = make_pipeline(StandardScaler(), DenoisingAutoencoder(hidden_units=200))
        z = features.fit_transform(x)                  # (n, 784) -> (n, 200)

    The network is a `DenoisingMLP`; rows are not scaled here. The defaults are the settings of
    source 004, with noise of its own for every row.

    Args:
        hidden_units: units of the hidden layer, or of several, the innermost last: (1000, 200).
        activation: of the hidden units: "softplus", "relu", "tanh", "gelu", ... as in `MLP`.
        sigma: standard deviation of the noise added to rows in training.
        masked: share of the numbers that are set to 0 in training.
        l1_activations, l1_weights: weights of the penalties of `losses.sparse_denoising`.
        decoder_init: first weights of the last layer, "zeros" or "xavier".
        optimizer, lr, schedule, weight_decay: as in `recipes.Settings`.
        epochs: passes over the rows in `fit`.
        batch_size: rows in a batch.
        random_state: seed of weights, order and noise; None is another one each time.

    Attributes:
        module_: the network, float64 on the CPU.
        weights_, biases_: of its linear layers, from the input on: (n_in, n_out) and (n_out,).
        history_: the loss of each pass; n_passes_ their number.
        n_features_in_, feature_names_in_: as in scikit-learn.

    Raises CourseError for settings that make no sense, and what scikit-learn raises for bad rows.
    Source: Vincent et al. 2010, JMLR 11; the interface of source 004's class, mended.
    """

    def __init__(
        self, hidden_units=200, activation="softplus", *, sigma=0.01, masked=0.0,
        l1_activations=0.0, l1_weights=0.0, decoder_init="zeros", optimizer="adam", lr=1e-3,
        schedule="constant", weight_decay=0.0, epochs=20, batch_size=128, random_state=None,
    ):  # fmt: skip
        self.hidden_units = hidden_units
        self.activation = activation
        self.sigma = sigma
        self.masked = masked
        self.l1_activations = l1_activations
        self.l1_weights = l1_weights
        self.decoder_init = decoder_init
        self.optimizer = optimizer
        self.lr = lr
        self.schedule = schedule
        self.weight_decay = weight_decay
        self.epochs = epochs
        self.batch_size = batch_size
        self.random_state = random_state

    # ------------------------------------------------------------------------------------ fitting

    def fit(self, X, y=None):
        """Train a new network on rows X (n, features); y is not looked at. Return self."""
        X = validate_data(self, X, dtype=(np.float64, np.float32))
        self._start()
        self._train(X, self._settings().epochs)
        return self

    def partial_fit(self, X, y=None):
        """Make one more pass over rows X (n, features), at a constant rate. Return self.

        The mean cost of the pass is the last entry of `history_`.
        """
        first = not hasattr(self, "module_")
        X = validate_data(self, X, dtype=(np.float64, np.float32), reset=first)
        if first:
            self._start()
        self._train(X, 1, schedule="constant")
        return self

    def _settings(self) -> Settings:
        """Return the settings of training; Settings refuses what makes no sense."""
        return Settings(
            epochs=plain(self.epochs), batch_size=plain(self.batch_size), lr=plain(self.lr),
            optimizer=self.optimizer, weight_decay=plain(self.weight_decay),
            schedule=self.schedule,
        )  # fmt: skip

    def _start(self) -> None:
        """Make the network and its optimizer."""
        self._seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        one = isinstance(self.hidden_units, numbers.Integral)
        widths = (int(self.hidden_units),) if one else tuple(self.hidden_units)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._seed)
            self.module_ = DenoisingMLP(
                widths, self.activation, "linear", self.decoder_init, (self.n_features_in_,)
            )
        self._n_features_out = widths[-1]
        self._optimizer = make_optimizer(self.module_, self._settings())
        self.history_, self.n_passes_ = [], 0

    def _train(self, X: np.ndarray, epochs: int, **changes) -> None:
        """Train the network for some passes, and note what came of it."""
        settings = self._settings()
        x = torch.tensor(X, dtype=torch.float32)
        batches = data.Batches(
            x, torch.zeros(len(x), dtype=torch.int64), settings.batch_size,
            seed=(self._seed + self.n_passes_) % (2**31 - 1), shuffle=True,
        )  # fmt: skip
        scheduler = None
        if changes.get("schedule", self.schedule) != "constant":
            scheduler = make_schedule(self._optimizer, settings, len(batches))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._seed + self.n_passes_)
            history = train.fit(
                self.module_.float(), self._loss(), batches, epochs=epochs,
                optimizer=self._optimizer, scheduler=scheduler, progress=False,
            )  # fmt: skip
        self.history_ += [row["train_loss"] for row in history]
        self.n_passes_ += epochs
        self._finish(X)

    def _loss(self):
        """Return the loss: `denoising`, with penalties where they are asked for."""
        noise = {"sigma": self.sigma, "masked": self.masked}
        if not self.l1_activations and not self.l1_weights:
            return functools.partial(losses.denoising, **noise)
        penalties = {"activations": self.l1_activations, "weights": self.l1_weights}
        return functools.partial(losses.sparse_denoising, **noise, **penalties)

    def _finish(self, X: np.ndarray) -> None:
        """Set what is read after fitting."""
        self.module_.double().eval()  # exact in the float32 weights; rows alone or together agree
        layers = [m for m in self.module_.modules() if isinstance(m, nn.Linear)]
        self.weights_ = [layer.weight.detach().T.numpy().copy() for layer in layers]
        self.biases_ = [layer.bias.detach().numpy().copy() for layer in layers]
        hidden = self._run(self.module_.encode, X[:10_000])
        self.hidden_mean_, self.hidden_std_ = hidden.mean(0), hidden.std(0)

    # -------------------------------------------------------------------------------------- using

    @torch.no_grad()
    def _run(self, part, X: np.ndarray) -> np.ndarray:
        """Return what a part of the network makes of rows, in their type."""
        made = [part(torch.tensor(X[i : i + 1000], dtype=torch.float64))
                for i in range(0, len(X), 1000)]  # fmt: skip
        return torch.cat(made).numpy().astype(X.dtype)

    def _rows(self, X) -> np.ndarray:
        """Return rows (n, features), checked."""
        check_is_fitted(self)
        return validate_data(self, X, dtype=(np.float64, np.float32), reset=False)

    def transform(self, X):
        """Return the hidden units (n, hidden) of rows X (n, features), which get no noise."""
        return self._run(self.module_.encode, self._rows(X))

    def inverse_transform(self, X):
        """Return the rows (n, features) that hidden units X (n, hidden) lead to."""
        check_is_fitted(self)
        X = check_array(X, dtype=(np.float64, np.float32))
        if X.shape[1] != self._n_features_out:
            raise CourseError(
                f"{X.shape[1]} hidden units a row; this network has {self._n_features_out}"
            )
        return self._run(self.module_.decode, X)

    def reconstruct(self, X):
        """Return rows X (n, features) as the network restores them."""
        return self._run(self.module_.reconstruct, self._rows(X))

    def generate(self, hidden=None, n_samples: int = 1):
        """Return the rows (n, features) of hidden units, or of some that are drawn.

        Args:
            hidden: (n, hidden); None draws `n_samples` rows from independent normal distributions
                with the means and deviations of the hidden units in training. Nothing made them
                independent: what is drawn resembles a digit only a little.
            n_samples: how many to draw.
        """
        check_is_fitted(self)
        if hidden is None:
            if isinstance(n_samples, bool) or not isinstance(n_samples, int) or n_samples < 1:
                raise CourseError(f"n_samples is {n_samples!r}; give a whole number, 1 or more")
            draw = check_random_state(self.random_state)
            size = (n_samples, self._n_features_out)
            hidden = draw.normal(self.hidden_mean_, self.hidden_std_, size)
        return self.inverse_transform(hidden)

    def total_cost(self, X) -> float:
        """Return half the squared error, summed over rows X (n, features): source 004's score."""
        X = self._rows(X)
        return 0.5 * float(np.square(self.reconstruct(X) - X, dtype=np.float64).sum())

    def score(self, X, y=None) -> float:
        """Return minus the squared error per row of X (n, features): more is better."""
        return -2 * self.total_cost(X) / len(X)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def plain(value):
    """Return Python's own number for one of NumPy's, which searches over settings hand out."""
    return value.item() if isinstance(value, np.generic) else value

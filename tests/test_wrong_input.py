"""One table of wrong input for every public function that takes images, features, codes or labels.

Each function either refuses in words (CourseError) or, where the type is one that it takes, gives
the very answer that it gives for the right input. Nothing else: no NaN, no other exception.
"""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from small_models import SHAPE, lively, small_conditional, small_vae

from course_utils import codes, losses, metrics, models
from course_utils.data import derived
from course_utils.errors import CourseError
from course_utils.models import Autoencoder, ConditionalAutoencoder

N = 24
Y = torch.arange(N) % 4
FEATURES = torch.randn(N, 3, generator=torch.Generator().manual_seed(2)).double()
OTHERS = torch.randn(N, 3, generator=torch.Generator().manual_seed(3)).double()


def grey(n=N, shape=SHAPE) -> torch.Tensor:
    """Return images of 256 levels, all of which reach from 0 to 1."""
    levels = torch.randint(0, 256, (n, *shape), generator=torch.Generator().manual_seed(1))
    levels[:, 0, 0, :2] = torch.tensor([0, 255])
    return levels / 255


X, DIGITS = grey(), grey(4, (1, 28, 28))


def one(value):
    """Return a function that puts one bad number among the others."""
    return lambda x: torch.where(torch.arange(x.numel()).view(x.shape) == 5, value, x)


CASES: dict[str, Callable] = {
    "right": lambda x: x,
    "array": lambda x: x.numpy(),
    "list": lambda x: x.tolist(),
    "float64": lambda x: x.double(),
    "float32": lambda x: x.float(),
    "bytes": lambda x: (255 * x).round().byte(),
    "whole": lambda x: (255 * x).round().long(),
    "0 to 255": lambda x: (255 * x).round(),
    "-1 to 1": lambda x: 2 * x - 1,
    "nan": one(math.nan),
    "inf": one(math.inf),
    "empty": lambda x: x[:0],
    "rank": lambda x: x[0],
    "shorter": lambda x: x[:-3],
    "wider": lambda x: torch.cat([x, x], dim=-1),
    "complex": lambda x: x + 0j,
    "none": lambda x: None,
    "words": lambda x: "images",
}
REFUSED = {
    "bytes",
    "whole",
    "0 to 255",
    "-1 to 1",
    "nan",
    "inf",
    "empty",
    "rank",
    "complex",
    "none",
    "words",
}  # unless a row says that its function may answer
ARRAYS = {"array", "list", "float64", "float32"}  # taken by whatever measures
FLOATS = {"float64", "float32"}
ANY_RANGE = {"0 to 255", "-1 to 1"}
NOT_LOOKED_AT = {"nan", "inf"}  # what a model gives may be NaN: the run diverged, as `fit` says


@dataclass(frozen=True)
class Row:
    """A function of one argument, right input for it, and the other cases that it answers.

    `same` cases give the answer to the right input; `may` ones may give another, without NaN.
    """

    call: Callable
    x: torch.Tensor
    same: frozenset
    may: frozenset


def row(call, x=None, same=FLOATS, may=()) -> Row:
    """Return a row of the table; of grey images unless x is given."""
    return Row(call, X if x is None else x, frozenset(same), frozenset(may))


def of_images(call) -> Row:
    """Return the row of a metric of images."""
    return row(call, X, ARRAYS | {"bytes"})


def of_features(call) -> Row:
    """Return the row of a metric of features, which may be any numbers."""
    return row(call, FEATURES, ARRAYS, ANY_RANGE | {"bytes", "whole"})


def labels(x):
    """Return a label for each image; for all that there might be where x is no images."""
    return Y[: len(x)] if isinstance(x, torch.Tensor) else Y


def seeded(function):
    """Return the function with random numbers that are the same in each call."""

    def call(x):
        torch.manual_seed(0)
        return function(x)

    return call


def trained_with(loss, model) -> Row:
    """Return the row of a loss that is called with a model and labels."""
    return row(seeded(lambda x: loss(model, x, labels(x))["loss"]), X, {"float32"})


VAE_4, TOLD = small_vae(), small_conditional()
AE_4 = lively(Autoencoder((8,), 3, image_shape=SHAPE))
TOLD_AE = small_conditional(ConditionalAutoencoder)
MLP_4 = lively(models.MLP((8,), n_classes=4, image_shape=SHAPE))
RBM_4 = lively(models.RBM(5, image_shape=SHAPE))
CODE_RBM_4 = lively(models.CodeRBM(5, image_shape=SHAPE))
DEEP_4 = lively(models.DeepAutoencoder((8,), 3, image_shape=SHAPE))
MIXTURE_4 = lively(models.MixtureVAE(2, (8,), 3, n_classes=4, image_shape=SHAPE))
DENOISING, CONV_VAE = models.DenoisingMLP((8,)), models.ConvVAE()
CONV_MIXTURE = models.ConvMixtureVAE(2, 3, n_classes=4, widths=(2, 2, 5)).eval()
ZEROS, CODES = torch.zeros(N, *SHAPE), OTHERS.float()
FACTORS = torch.stack([OTHERS[:, 0], OTHERS[:, 1], Y % 2], 1).float()  # two amounts and a kind
PROBABILITIES = torch.softmax(OTHERS, 1)


def density_of_one_class(z):
    """Return the density of codes by a prior that is fitted to them, all of one class."""
    y = 0 * labels(z)
    return codes.FittedPrior(z, y, 1).log_prob(z, y)


def first_pixels(b):
    """Return three pixels of images, for features."""
    return b.flatten(1)[:, 2:5]


LOSSES = {
    "squared_error": row(lambda x: losses.squared_error(ZEROS, x), may=ANY_RANGE),
    "bernoulli_nll": row(lambda x: losses.bernoulli_nll(ZEROS, x)),
    "nll_of_each": row(lambda x: losses.nll_of_each(ZEROS, x)),
    "gaussian_nll": row(lambda x: losses.gaussian_nll(ZEROS, x, 0.0), may=ANY_RANGE),
    "kl_standard_normal": row(lambda mu: losses.kl_standard_normal(mu, 0 * CODES), CODES,
                              may=ANY_RANGE | NOT_LOOKED_AT),
    "kl_per_unit": row(lambda mu: losses.kl_per_unit(mu, 0 * CODES), CODES,
                       may=ANY_RANGE | NOT_LOOKED_AT),
    "distortion": row(lambda x: losses.distortion(VAE_4, ZEROS, x, "bernoulli", None)),
    "elbo_terms": row(lambda x: losses.elbo_terms(CODES.sum(), CODES, CODES, ZEROS, x)["sse"],
                      may=ANY_RANGE),
    "shifted": row(seeded(lambda x: losses.shifted(x, 1)), may=ANY_RANGE | NOT_LOOKED_AT),
    "gradients_of_mu": row(seeded(lambda x: losses.gradients_of_mu(VAE_4, x, 2, "score")),
                           same={"float32"}),
    "Objective": row(seeded(lambda x: losses.Objective(VAE_4, losses.negative_elbo)(x)["loss"]),
                     same={"float32"}),
    "reconstruction": trained_with(losses.reconstruction, AE_4),
    "masked_reconstruction": trained_with(losses.masked_reconstruction, AE_4),
    "sparse_reconstruction": trained_with(losses.sparse_reconstruction, AE_4),
    "reconstruction_pm1": trained_with(losses.reconstruction_pm1, AE_4),
    "cross_entropy_reconstruction": trained_with(losses.cross_entropy_reconstruction, AE_4),
    "conditional_reconstruction": trained_with(losses.conditional_reconstruction, TOLD_AE),
    "negative_elbo": trained_with(losses.negative_elbo, VAE_4),
    "conditional_negative_elbo": trained_with(losses.conditional_negative_elbo, TOLD),
    "prior_negative_elbo": trained_with(losses.prior_negative_elbo, MIXTURE_4),
    "silent_negative_elbo": trained_with(
        lambda *batch: losses.silent_negative_elbo(*batch, weight=10.0, variance=0.1), TOLD),
    "label_discrepancy": row(lambda z: losses.label_discrepancy(z, Y % 4, 4), CODES, {"float32"},
                             ANY_RANGE | NOT_LOOKED_AT),
    "iwae_loss": trained_with(losses.iwae_loss, VAE_4),
    "classification": trained_with(losses.classification, MLP_4),
    "smoothed_classification": trained_with(losses.smoothed_classification, MLP_4),
    "one_against_rest": trained_with(losses.one_against_rest, MLP_4),
    "factor_reading": row(lambda x: losses.factor_reading(
        MLP_4, x, FACTORS[: len(labels(x))], kinds=(2,))["loss"], X, {"float32"}),
    "denoising": trained_with(losses.denoising, AE_4),
    "sparse_denoising": trained_with(losses.sparse_denoising, AE_4),
    "contrastive_divergence": trained_with(losses.contrastive_divergence, RBM_4),
    "corrupted": row(seeded(lambda x: losses.corrupted(x, 0.1, 0.2)), X, {"float32"},
                     ANY_RANGE | NOT_LOOKED_AT | {"rank"}),
}  # fmt: skip
METRICS = {
    "frechet": of_images(lambda x: metrics.frechet(first_pixels, x, X)),
    "sample_scores": of_images(lambda x: metrics.sample_scores(first_pixels, x, X)["KD"]),
    "features_of": of_images(lambda x: metrics.features_of(first_pixels, x)),
    "sharpness": of_images(metrics.sharpness),
    "blockiness": of_images(metrics.blockiness),
    "psnr": of_images(lambda x: metrics.psnr(x, 1 - X)),
    "ssim": of_images(lambda x: metrics.ssim(x, 1 - X, 3)),
    "pca": of_images(lambda x: metrics.pca(x, 2).variances),
    "read": of_images(lambda x: metrics.read(MLP_4, x)),
    "label_accuracy": of_images(lambda x: metrics.label_accuracy(MLP_4, x, Y)),
    "label_bounds": of_images(lambda x: metrics.label_bounds(TOLD, x)),
    "log_weights": row(lambda x: metrics.log_weights(VAE_4, x, 2), X.round(), ARRAYS | {"bytes"}),
    "log_likelihood": row(lambda x: metrics.log_likelihood(VAE_4, x, 2), X.round(),
                          ARRAYS | {"bytes"}),
    "bernoulli_log_likelihood": row(lambda x: metrics.bernoulli_log_likelihood(ZEROS, x)),
    "classification_accuracy_score": of_images(
        lambda x: metrics.classification_accuracy_score(x, Y, X, Y)),
    "frechet_distance": of_features(lambda f: metrics.frechet_distance(f, OTHERS)),
    "kernel_distance": of_features(lambda f: metrics.kernel_distance(f, OTHERS, 20)),
    "precision_recall": of_features(lambda f: metrics.precision_recall(f, OTHERS, 2)),
    "nearest_neighbours": of_features(lambda f: metrics.nearest_neighbours(f, OTHERS).distances),
    "memorisation": of_features(lambda f: metrics.memorisation(f, OTHERS, FEATURES[:5]).ratio),
    "knn_accuracy": of_features(lambda f: metrics.knn_accuracy(f, Y, OTHERS, Y)),
    "linear_probe_accuracy": of_features(lambda f: metrics.linear_probe_accuracy(f, Y, OTHERS, Y)),
    "same_class_closeness": of_features(lambda f: metrics.same_class_closeness(f, Y, 2)),
    "grouping_agreement": of_features(lambda f: metrics.grouping_agreement(f, Y, 3)),
    "shared_by_rows": of_features(metrics.shared_by_rows),
    "iwae_bound": of_features(metrics.iwae_bound),
    "reliability": row(lambda p: metrics.reliability(p, Y % 3).accuracy, PROBABILITIES, ARRAYS),
    "expected_calibration_error": row(lambda p: metrics.expected_calibration_error(p, Y % 3),
                                      PROBABILITIES, ARRAYS),
    "negative_log_likelihood": row(lambda p: metrics.negative_log_likelihood(p, Y % 3),
                                   PROBABILITIES, ARRAYS),
}  # fmt: skip
NO_LOOK = ANY_RANGE | NOT_LOOKED_AT | {"empty"}  # a model looks at types and shapes alone
MODELS = {
    "VAE": row(lambda x: VAE_4.encode(x)[0], X, {"float32"}, NO_LOOK),
    "Autoencoder": row(lambda x: AE_4(x)[0], X, {"float32"}, NO_LOOK),
    "ConditionalVAE": row(lambda x: TOLD.encode(x, labels(x))[0], X, {"float32"}, NO_LOOK),
    "ConditionalAutoencoder": row(lambda x: TOLD_AE(x, labels(x))[0], X, {"float32"}, NO_LOOK),
    "MLP": row(MLP_4, X, {"float32"}, NO_LOOK),
    "RBM": row(RBM_4.encode, X, {"float32"}, NO_LOOK),
    "CodeRBM": row(CODE_RBM_4.encode, X, {"float32"}, NO_LOOK),
    "DeepAutoencoder": row(lambda x: DEEP_4(x)[0], X, {"float32"}, NO_LOOK),
    **{name: row(getattr(models, name)().eval(), DIGITS, {"float32"}, NO_LOOK)
       for name in ("Classifier", "ConvAutoencoder", "DeepConvAutoencoder",
                    "LinearUNet", "ResizeConvAutoencoder", "SignedConvAutoencoder", "UNet")},
    "DenoisingMLP": row(lambda x: DENOISING(x)[0], DIGITS, {"float32"}, NO_LOOK),
    "MixtureVAE": row(lambda x: MIXTURE_4.encode(x, labels(x))[0], X, {"float32"}, NO_LOOK),
    "ConvMixtureVAE": row(lambda x: CONV_MIXTURE.encode(x, labels(x))[0], DIGITS, {"float32"},
                          NO_LOOK),
    "ConvVAE": row(lambda x: CONV_VAE.encode(x)[0], DIGITS, {"float32"},
                   NO_LOOK),
}  # fmt: skip
OTHERS_OF_THE_PACKAGE = {
    "decoded": row(lambda z: codes.decoded(VAE_4, z), CODES, {"float32"}, NO_LOOK),
    "mean_code": row(lambda x: codes.mean_code(AE_4, x), X, {"float32"}, NO_LOOK),
    "as_every_class": row(lambda z: codes.as_every_class(TOLD, z), CODES, {"float32"}, NO_LOOK),
    "between": row(lambda a: codes.between(AE_4, a, X[0], 3), X[1], {"float32"}, NO_LOOK),
    "normal_like": row(lambda z: codes.normal_like(z).mean, CODES, FLOATS, ANY_RANGE),
    "mixture_like": row(lambda z: codes.mixture_like(z, 1).mean, CODES, FLOATS, ANY_RANGE),
    "FittedPrior": row(density_of_one_class, CODES, FLOATS, ANY_RANGE),
    "nats_from_prior": row(codes.nats_from_prior, CODES, FLOATS, ANY_RANGE),
    "slant": row(derived.slant, X, FLOATS | {"bytes", "0 to 255"}),
}
TABLE = LOSSES | METRICS | MODELS | OTHERS_OF_THE_PACKAGE
OF_LOGITS = {  # what a discriminator gives: a NaN there is a game that diverged, as `fit_gan` says
    "logistic_d", "saturating_g", "non_saturating_g", "hinge_d", "hinge_g", "relativistic_d",
    "relativistic_g", "squared_slope",
}  # fmt: skip
ELSEWHERE = OF_LOGITS | {  # public, and no function of images, features, codes or probabilities
    "check_input",
    "wanted_by",
    "wants",  # tests/losses/test_loss_inputs.py
    "auroc",  # of two lists of numbers: tests/metrics/test_uses.py
    "monte_carlo_probabilities",  # hands x to the model, which looks at it
    "plane",
    "told",  # a number; labels or None
}


def outcome(call, x):
    """Return what a function answers as a tensor, or the refusal."""
    try:
        answer = call(x)
    except CourseError as refusal:
        assert str(refusal) and "\n" not in str(refusal)
        return refusal
    first = answer[0] if isinstance(answer, tuple) and not hasattr(answer, "_fields") else answer
    return torch.as_tensor(first).detach().double()


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", TABLE)
@pytest.mark.filterwarnings("ignore:Casting complex values")
def test_an_answer_is_right_or_refused_in_words(name, case):
    entry = TABLE[name]
    found = outcome(entry.call, CASES[case](entry.x))
    if case in entry.same | {"right"}:
        right = outcome(entry.call, entry.x)
        assert not isinstance(found, CourseError), found
        torch.testing.assert_close(found, right, rtol=1e-4, atol=1e-5)
    elif case in REFUSED - entry.may:
        assert isinstance(found, CourseError), found
    elif case not in NOT_LOOKED_AT and not isinstance(found, CourseError):
        assert not found.isnan().any()


def test_every_public_function_has_a_row():
    public = {
        name
        for module in (losses, metrics, models)
        for name in module.__all__
        if callable(getattr(module, name))
    }
    public |= {
        name for name, f in inspect.getmembers(codes, inspect.isfunction)
        if f.__module__ == codes.__name__ and not name.startswith("check_")
    }  # fmt: skip
    assert public - ELSEWHERE - set(TABLE) == set()

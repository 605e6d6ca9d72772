"""Every loss of the course, one family per file.

A loss is called as `loss(model, x, y)` and returns a dict of scalars: "loss", which is minimised,
and the terms worth watching. All are sums over an image averaged over the batch, so that numbers
do not change with the batch size: squared error on [0, 1] ("sse"), or nats.
"""

from course_utils.losses.adversarial import (
    hinge_d,
    hinge_g,
    logistic_d,
    non_saturating_g,
    relativistic_d,
    relativistic_g,
    saturating_g,
    squared_slope,
)
from course_utils.losses.autoencoding import (
    conditional_reconstruction,
    cross_entropy_reconstruction,
    masked_reconstruction,
    reconstruction,
    reconstruction_pm1,
    sparse_reconstruction,
)
from course_utils.losses.classifying import classification, shifted
from course_utils.losses.elbo import (
    LIKELIHOODS,
    conditional_negative_elbo,
    distortion,
    elbo_terms,
    kl_per_unit,
    kl_standard_normal,
    negative_elbo,
)
from course_utils.losses.factors import factor_reading
from course_utils.losses.gradients import ESTIMATORS, gradients_of_mu
from course_utils.losses.inputs import check_input, wanted_by, wants
from course_utils.losses.iwae import iwae_loss
from course_utils.losses.labels import one_against_rest, smoothed_classification
from course_utils.losses.learned_prior import prior_negative_elbo
from course_utils.losses.noise import (
    contrastive_divergence,
    corrupted,
    denoising,
    sparse_denoising,
)
from course_utils.losses.objective import Objective
from course_utils.losses.pixels import bernoulli_nll, gaussian_nll, nll_of_each, squared_error
from course_utils.losses.silent import label_discrepancy, silent_negative_elbo

__all__ = [
    "ESTIMATORS", "LIKELIHOODS", "Objective", "bernoulli_nll", "check_input", "classification",
    "conditional_negative_elbo", "conditional_reconstruction", "contrastive_divergence",
    "corrupted", "cross_entropy_reconstruction", "denoising", "distortion", "elbo_terms",
    "factor_reading", "gaussian_nll", "gradients_of_mu", "hinge_d", "hinge_g", "iwae_loss",
    "kl_per_unit", "kl_standard_normal", "label_discrepancy", "logistic_d",
    "masked_reconstruction", "negative_elbo", "nll_of_each", "non_saturating_g",
    "one_against_rest", "prior_negative_elbo", "reconstruction", "reconstruction_pm1",
    "relativistic_d", "relativistic_g", "saturating_g", "shifted", "silent_negative_elbo",
    "smoothed_classification", "sparse_denoising", "sparse_reconstruction", "squared_error",
    "squared_slope", "wanted_by", "wants",
]  # fmt: skip

"""What the course measures, on tensors that the caller brings.

No network is downloaded: a distance between sets of images is taken on the features of a network
of the course, and is called FD-<network>, never FID. torchmetrics and scikit-learn are the second
opinion in the tests; scikit-learn also does the work where it already does it well.

Images are (N, C, H, W), uint8 or float in [0, 1]; features and codes are (N, D); labels are (N,).
Tensors, NumPy arrays and nested lists of any precision are taken, and sums are made in float64.
uint8 always means pixels, and is divided by 255. Wrong input raises CourseError, and so does input
for which there is no number: an answer is right, never NaN.
"""

from course_utils.metrics.blocks import blockiness
from course_utils.metrics.calibration import (
    expected_calibration_error,
    monte_carlo_probabilities,
    negative_log_likelihood,
    reliability,
)
from course_utils.metrics.components import pca
from course_utils.metrics.distances import frechet, frechet_distance, kernel_distance
from course_utils.metrics.edges import sharpness
from course_utils.metrics.features import features_of
from course_utils.metrics.labels import label_accuracy, label_bounds, read, shared_by_rows
from course_utils.metrics.likelihood import (
    bernoulli_log_likelihood,
    iwae_bound,
    log_likelihood,
    log_weights,
)
from course_utils.metrics.likeness import psnr, ssim
from course_utils.metrics.neighbours import memorisation, nearest_neighbours
from course_utils.metrics.prdc import precision_recall
from course_utils.metrics.probes import (
    classification_accuracy_score,
    knn_accuracy,
    linear_probe_accuracy,
    same_class_closeness,
)
from course_utils.metrics.scores import sample_scores
from course_utils.metrics.uses import auroc, grouping_agreement

__all__ = [
    "auroc",
    "bernoulli_log_likelihood",
    "blockiness",
    "classification_accuracy_score",
    "expected_calibration_error",
    "features_of",
    "frechet",
    "frechet_distance",
    "grouping_agreement",
    "iwae_bound",
    "kernel_distance",
    "knn_accuracy",
    "label_accuracy",
    "label_bounds",
    "linear_probe_accuracy",
    "log_likelihood",
    "log_weights",
    "memorisation",
    "monte_carlo_probabilities",
    "nearest_neighbours",
    "negative_log_likelihood",
    "pca",
    "precision_recall",
    "psnr",
    "read",
    "reliability",
    "same_class_closeness",
    "sample_scores",
    "shared_by_rows",
    "sharpness",
    "ssim",
]

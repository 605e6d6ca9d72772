"""Instant feedback on a learner's solution.

    check.gaussian_kl(my_kl)       # shows and returns a verdict: .passed, .sentence
    check.gaussian_kl.hint(1)
    check.gaussian_kl.solution()   # of practice exercises
    check.summary()                # k of n passed

A check asks a battery of probes, the smallest first, and says in one sentence what is wrong, where
to look, and the smallest input that shows it. It raises nothing, whatever the answer does.
"""

from __future__ import annotations

from course_utils.check import session
from course_utils.check.adversarial import discriminator_loss, generator_loss
from course_utils.check.aggregate import log_aggregate
from course_utils.check.atoms import coherence, matching_pursuit
from course_utils.check.autoencoding import bce_from_logits, squared_error
from course_utils.check.boltzmann import contrastive_divergence
from course_utils.check.bounds import beta_sweep, repaired_bound
from course_utils.check.classifying import dropout, softmax_cross_entropy, xavier_bound
from course_utils.check.conditional import one_hot
from course_utils.check.contest import repaired_accuracy, your_minute
from course_utils.check.convolving import conv_output_size, max_pool, transposed_conv
from course_utils.check.corrupting import add_gaussian_noise, mask_pixels
from course_utils.check.denoising import repaired_denoising, trained_denoiser
from course_utils.check.describing import best_components, whiten
from course_utils.check.exercise import Check
from course_utils.check.face_codes import codes_apart, steered
from course_utils.check.faulty_scores import fool_frechet, repaired_precision, repaired_shares
from course_utils.check.games import plane_gan, repaired_game
from course_utils.check.judging import nearest_neighbour_test, share_error
from course_utils.check.keeping import quiet_code, repaired_swap
from course_utils.check.labels import label_reaches, obedience, repaired_sheet, told
from course_utils.check.networks import receptive_field, repaired_batch, without_blocks
from course_utils.check.pixels import best_constant, psnr, standardise
from course_utils.check.playing import jensen_shannon, lessons
from course_utils.check.pointing import score_of_points
from course_utils.check.probing import repaired_probe, your_feature
from course_utils.check.reading import label_posterior
from course_utils.check.scoring import frechet_distance
from course_utils.check.session import EDITION, Summary, summary
from course_utils.check.telling import balanced_accuracy, label_planes
from course_utils.check.training import beats_pca, best_epoch, repaired_step
from course_utils.check.variational import gaussian_kl, iwae_bound, reparameterise
from course_utils.check.verdict import Verdict

CHECKS: dict[str, Check] = {
    name: found for name, found in list(globals().items()) if isinstance(found, Check)
}


def begin(chapter: str, edition: int = EDITION) -> None:
    """Start the exercises of a chapter: the summary then counts its checks.

    Args:
        chapter: "04".
        edition: of the exercises that the notebook was written for; a line says when the
            package has another.
    """
    session.begin([name for name, found in CHECKS.items() if found.chapter == chapter], edition)


def __getattr__(name: str):
    """Say what is known where a check is asked for that is not there."""
    if name.startswith("__"):
        raise AttributeError(name)
    raise AttributeError(
        f"there is no check {name!r} in this version of the package (edition {EDITION} of the "
        "exercises): notebook and package do not belong together, or the name is misspelt"
    )


__all__ = [
    "CHECKS",
    "EDITION",
    "Check",
    "Summary",
    "Verdict",
    "add_gaussian_noise",
    "balanced_accuracy",
    "bce_from_logits",
    "beats_pca",
    "begin",
    "best_components",
    "best_constant",
    "best_epoch",
    "beta_sweep",
    "codes_apart",
    "coherence",
    "contrastive_divergence",
    "conv_output_size",
    "discriminator_loss",
    "dropout",
    "fool_frechet",
    "frechet_distance",
    "gaussian_kl",
    "generator_loss",
    "iwae_bound",
    "jensen_shannon",
    "label_planes",
    "label_posterior",
    "label_reaches",
    "lessons",
    "log_aggregate",
    "mask_pixels",
    "matching_pursuit",
    "max_pool",
    "nearest_neighbour_test",
    "obedience",
    "one_hot",
    "plane_gan",
    "psnr",
    "quiet_code",
    "receptive_field",
    "repaired_accuracy",
    "repaired_batch",
    "repaired_bound",
    "repaired_denoising",
    "repaired_game",
    "repaired_precision",
    "repaired_probe",
    "repaired_shares",
    "repaired_sheet",
    "repaired_step",
    "repaired_swap",
    "reparameterise",
    "score_of_points",
    "share_error",
    "softmax_cross_entropy",
    "squared_error",
    "standardise",
    "steered",
    "summary",
    "told",
    "trained_denoiser",
    "transposed_conv",
    "whiten",
    "without_blocks",
    "xavier_bound",
    "your_feature",
    "your_minute",
]  # fmt: skip

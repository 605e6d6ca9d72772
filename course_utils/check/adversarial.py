"""Checks of chapter 06: the two losses of the game."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from course_utils.check.exercise import exercise
from course_utils.check.probes import ROUNDS, Extremes, Mistake, Values, case, usual

# ---------------------------------------------------------------------------------- discriminator


def d_of_torch(real_logits, fake_logits):
    """Return the loss by torch's functional, real labelled 1 and fake 0: the oracle."""
    bce = F.binary_cross_entropy_with_logits
    real = bce(real_logits, torch.ones_like(real_logits))
    return real + bce(fake_logits, torch.zeros_like(fake_logits))


D_CASES = (
    case([0.0], [0.0]),
    case([1.0], [0.0]),
    case([0.0], [1.0]),
    case([2.0, -1.0], [0.5, -0.5]),
    case([1.5, -0.5], [-1.0, 0.5, 2.0, 1.0]),  # batches of unlike sizes
)
D_FAR = (case([200.0], [-200.0]), case([-200.0], [-200.0]), case([200.0], [200.0]))

sp = F.softplus
D_MISTAKES = (
    Mistake(
        lambda r, f: sp(r).mean() + sp(-f).mean(),
        "Your labels are exchanged: real images are labelled 1, fakes 0",
    ),
    Mistake(
        lambda r, f: -sp(-r).mean() - sp(f).mean(),
        "Your loss has the wrong sign: it is minimised, so it is minus the logarithm",
    ),
    Mistake(
        lambda r, f: 0.5 * (sp(-r).mean() + sp(f).mean()),
        "Your loss is half of it: the two averages are added, so that one that cannot tell pays "
        "2 log 2",
    ),
    Mistake(
        lambda r, f: sp(-r).mean(),
        "Your loss looks at the real images only: the fakes must be refused too",
    ),
    Mistake(
        lambda r, f: sp(f).mean(),
        "Your loss looks at the fakes only: the real images must be accepted too",
    ),
    Mistake(
        lambda r, f: sp(-r).mean() + sp(-f).mean(),
        "Your loss labels the fakes 1: that is what the generator wants",
    ),
    Mistake(
        lambda r, f: sp(-r).sum() + sp(f).sum(),
        "Your loss is summed over the batch: average over each of the two",
    ),
    Mistake(
        lambda r, f: (sp(-r).sum() + sp(f).sum()) / (len(r) + len(f)),
        "Your loss pools real and fake before averaging, so the larger batch counts more: average "
        "each by itself, and add",
    ),
    Mistake(
        lambda r, f: 2 * (sp(-r).sum() + sp(f).sum()) / (len(r) + len(f)),
        "Your loss pools real and fake and doubles their mean, so the larger batch counts more: "
        "average each by itself, and add",
    ),
    Mistake(
        lambda r, f: sp(-r.sigmoid()).mean() + sp(f.sigmoid()).mean(),
        "Your loss squeezes twice: a sigmoid is applied to what is a probability already",
    ),
    Mistake(
        lambda r, f: F.relu(1 - r).mean() + F.relu(1 + f).mean(),
        "Yours is the hinge loss: the logistic one of the first GAN is wanted",
    ),
    Mistake(
        lambda r, f: f.mean() - r.mean(),
        "Yours is the difference of the logits, as a Wasserstein critic has it: the logistic loss "
        "is wanted",
    ),
)


@exercise(
    "06",
    probes=[
        Values("your loss", d_of_torch, D_CASES, D_MISTAKES),
        Extremes("your loss", d_of_torch, D_FAR, ROUNDS),
        *usual("your loss", D_CASES[3], ("real_logits", "fake_logits")),
    ],
    hints=[
        "A discriminator that cannot tell says 0 to everything, and pays log 2 on each side: "
        "together 1.386.",
        "`-log sigmoid(a)` is `F.softplus(-a)`. Which sign belongs to the real ones?",
        "Average over the real ones, average over the fakes, add.",
    ],
    opens="Detach the fakes before they reach it, or its step computes slopes for the generator.",
)
def discriminator_loss(real_logits, fake_logits):
    """Return -E log D(real) - E log(1 - D(fake)) in nats, a scalar.

    real_logits, fake_logits: of real and of generated images, (B,), (B',).
    """
    return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()


# -------------------------------------------------------------------------------------- generator


def g_of_torch(fake_logits):
    """Return the loss by torch's functional, fakes labelled 1: the oracle."""
    return F.binary_cross_entropy_with_logits(fake_logits, torch.ones_like(fake_logits))


G_CASES = (case([0.0]), case([1.0]), case([2.0, -1.0]), case([-3.0, 0.5, 1.0]))
G_FAR = (case([200.0]), case([-200.0]))

G_MISTAKES = (
    Mistake(
        lambda f: sp(f).mean(),
        "Your loss labels the fakes 0, as the discriminator does: the generator would learn to be "
        "found out",
    ),
    Mistake(
        lambda f: -sp(f).mean(),
        "Yours is the saturating loss, log(1 - D): where the discriminator is sure, it has no "
        "slope to learn from; the non-saturating one, with fakes labelled 1, is wanted",
    ),
    Mistake(
        lambda f: -sp(-f).mean(),
        "Your loss has the wrong sign: it is minimised, so it is minus the logarithm",
    ),
    Mistake(
        lambda f: sp(-f).sum(),
        "Your loss is summed over the batch: average over it",
    ),
    Mistake(
        lambda f: sp(-f),
        "Your loss has a number for each fake: their average is wanted",
    ),
    Mistake(
        lambda f: -f.mean(),
        "Yours is minus the mean logit, as with the hinge loss: the logistic one is wanted",
    ),
    Mistake(
        lambda f: sp(-f.sigmoid()).mean(),
        "Your loss squeezes twice: a sigmoid is applied to what is a probability already",
    ),
    Mistake(
        lambda f: (-f).sigmoid().mean(),
        "Yours is the probability of being found out: its logarithm is missing",
    ),
)


@exercise(
    "06",
    probes=[
        Values("your loss", g_of_torch, G_CASES, G_MISTAKES),
        Extremes("your loss", g_of_torch, G_FAR, ROUNDS),
        *usual("your loss", G_CASES[2], ("fake_logits",)),
    ],
    hints=[
        "The generator wants its images to be taken for real: which label is that?",
        "-log D(fake), averaged, on logits: one call of F.softplus.",
    ],
    opens="Its slope is largest where the discriminator is sure, which is where help is needed.",
)
def generator_loss(fake_logits):
    """Return the non-saturating loss -E log D(fake) in nats, a scalar.

    fake_logits: what the discriminator says of generated images, (B,).
    """
    return F.softplus(-fake_logits).mean()

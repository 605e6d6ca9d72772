"""Checks of chapter 04: what a variational autoencoder is charged, and what it draws."""

from __future__ import annotations

import math

import torch
from torch import distributions

from course_utils.check.calling import Answer
from course_utils.check.exercise import exercise
from course_utils.check.probes import Extremes, Mistake, OnTheCard, Untouched, Values, case, usual
from course_utils.check.statistics import (
    are_correlated,
    is_not_normal,
    mean_is_off,
    std_is_off,
)
from course_utils.check.wording import number, same

# ------------------------------------------------------------------------------------------- KL


def kl_of_torch(mu, logvar):
    """Return the KL divergence by torch.distributions: the oracle."""
    q = distributions.Normal(mu, (logvar / 2).exp())
    return distributions.kl_divergence(q, distributions.Normal(0.0, 1.0)).sum(1)


def _kl(mu, logvar):
    """Return the share of each unit, for formulas that go wrong with it."""
    return 0.5 * (mu.square() + logvar.exp() - 1 - logvar)


KL_CASES = (
    case([[1.0]], [[0.0]]),
    case([[0.0]], [[1.0]]),
    case([[0.0]], [[2.0]]),
    case([[1.0, 0.0]], [[0.0, 0.0]]),
    case([[1.0], [0.0]], [[0.0], [0.0]]),
    case([[0.5, -1.0], [2.0, 0.0], [0.0, 0.3]], [[0.0, -1.0], [0.5, 0.0], [2.0, -3.0]],
         note="a batch of three codes of two numbers"),
    case([[0.0, 0.0]], [[-20.0, 6.0]]),
)  # fmt: skip

KL_MISTAKES = (
    Mistake(
        lambda mu, logvar: _kl(mu, logvar).mean(),
        "Your KL is averaged over the batch and the code: one number per image is wanted, summed "
        "over the code",
    ),
    Mistake(
        lambda mu, logvar: _kl(mu, logvar).mean(1),
        "Your KL is averaged over the numbers of the code: the bound has their sum",
    ),
    Mistake(
        lambda mu, logvar: _kl(mu, logvar).sum(),
        "Your KL is summed over the batch too: one number per image is wanted, shape (B,)",
    ),
    Mistake(
        lambda mu, logvar: _kl(mu, logvar).sum(1).mean(),
        "Your KL is right for each image and then averaged over the batch: leave out the last "
        "step, one number per image is wanted",
    ),
    Mistake(
        lambda mu, logvar: _kl(mu, logvar).sum(0),
        "Your KL is summed over the images: sum over the code, dimension 1, and keep the batch",
    ),
    Mistake(
        lambda mu, logvar: -_kl(mu, logvar).sum(1),
        "Your KL has the wrong sign: a divergence is never negative",
    ),
    Mistake(
        lambda mu, logvar: 2 * _kl(mu, logvar).sum(1),
        "Your KL is twice what it should be: look for the factor one half",
    ),
    Mistake(
        lambda mu, std: (0.5 * (mu**2 + std**2 - 1 - torch.log(std**2))).sum(1),
        "Your KL takes logvar for a standard deviation: it is the logarithm of the variance, and "
        "logvar = 0 means a variance of 1",
    ),
    Mistake(
        lambda mu, var: (0.5 * (mu**2 + var - 1 - torch.log(var))).sum(1),
        "Your KL takes logvar for the variance itself: it is its logarithm",
    ),
    Mistake(
        lambda mu, logstd: (0.5 * (mu**2 + (2 * logstd).exp() - 1 - 2 * logstd)).sum(1),
        "Your KL takes logvar for the logarithm of the standard deviation: the variance is its "
        "exponential, without a square",
    ),
    Mistake(
        lambda mu, logvar: (0.5 * (mu + logvar.exp() - 1 - logvar)).sum(1),
        "Your KL has mu where its square belongs: a mean of -1 is as far from 0 as a mean of 1",
    ),
    Mistake(
        lambda mu, logvar: (0.5 * (mu**2 + logvar.exp() - logvar)).sum(1),
        "Your KL lacks the -1 in each unit: it must be 0 where q is the prior",
    ),
    Mistake(
        lambda mu, logvar: (0.5 * (mu**2 + logvar.exp() - 1 + logvar)).sum(1),
        "The logarithm of the variance enters your KL with the wrong sign: a narrower q must cost "
        "more, not less",
    ),
    Mistake(
        lambda mu, logvar: (0.5 * ((mu**2 + 1) / logvar.exp() - 1 + logvar)).sum(1),
        "Your KL is the other one, from the prior to q: the bound has KL(q || p), and the two "
        "differ",
    ),
)  # fmt: skip


@exercise(
    "04",
    probes=[
        Values("your KL", kl_of_torch, KL_CASES, KL_MISTAKES, per_image=True),
        *usual("your KL", KL_CASES[4], ("mu", "logvar")),
    ],
    hints=[
        "A normal distribution with variance 1 and mean 1 is half a nat away from the prior. Your "
        "formula must give 0.5 for mu = 1, logvar = 0, and 0 for mu = 0, logvar = 0.",
        "Write the formula of the chapter for one unit, with the variance as logvar.exp(). What "
        "enters a bound on log p(x) is the sum over the units.",
        "Sum over dimension 1 and leave the batch alone.",
    ],
    opens="With it and a reconstruction term you can write the whole bound.",
)
def gaussian_kl(mu, logvar):
    """Return KL(N(mu, exp(logvar)) || N(0, 1)) of each image in nats, (B,).

    mu, logvar: means and log-variances of the codes, (B, Z).
    """
    return 0.5 * (mu.square() + logvar.exp() - 1 - logvar).sum(dim=1)


# --------------------------------------------------------------------------------- drawing codes

N_DRAWN = 200_000


def draw_faults(answer: Answer) -> str | None:
    """Look at many draws from N(1, 4): mean, deviation, form, and whether they differ."""
    mu, logvar = torch.full((N_DRAWN, 1), 1.0), torch.full((N_DRAWN, 1), math.log(4.0))
    z = answer.tensor(mu, logvar)
    if z.shape != mu.shape:
        return f"Your codes have shape {tuple(z.shape)}; that of mu, {tuple(mu.shape)}, is wanted."
    z = z.detach().cpu()
    spread = z.double().std().item()
    if spread < 1e-6:
        if torch.equal(z, mu):
            return "Your codes are the means: nothing is drawn. Where is the noise?"
        return (
            "All your codes are the same, so one noise serves them all: draw one number for each "
            "number of each code, of the shape of mu."
        )
    return known_spread(z, spread)


def known_spread(z: torch.Tensor, spread: float) -> str | None:
    """Say what is wrong with draws that ought to come from N(1, 4)."""
    where = f"for mu = 1, logvar = log 4 = 1.386 they have a standard deviation of {spread:.3g}"
    if not std_is_off(z, 2.0):
        if mean_is_off(z, 1.0, 2.0):
            found = z.double().mean().item()
            return f"The mean of your codes is {found:.3g} for mu = 1: the noise is added to mu."
        if is_not_normal(z):
            return (
                "Your noise is not normal, though mean and deviation fit: it is drawn from another "
                "distribution (torch.rand is uniform, torch.randn is normal)."
            )
        return None
    for factor, says in KNOWN_SPREADS.items():
        if not std_is_off(z, factor):
            return f"{says}: {where}, not 2."
    if not is_not_normal(z):
        return f"Your codes are spread wrongly: {where}, not 2."
    return (
        "Your noise is not standard normal (torch.rand is uniform between 0 and 1, torch.randn is "
        f"normal): {where}, not 2."
    )


KNOWN_SPREADS = {
    4.0: "Your noise is stretched by the variance; a standard deviation is its square root",
    math.log(4.0): "Your noise is stretched by logvar itself, as if it were a standard deviation; "
    "it is the logarithm of the variance",
    math.sqrt(math.log(4.0)): "Your noise is stretched by the square root of logvar: take the "
    "exponential first",
    1.0: "Your noise is not stretched: it has the deviation 1 whatever logvar says",
    0.5: "Your noise is divided by the standard deviation: the sign in the exponent is wrong",
}


def draws_are_apart(answer: Answer) -> str | None:
    """Look whether each number has a noise of its own, and each call another."""
    mu, logvar = torch.zeros(400, 50), torch.zeros(400, 50)
    one, two = answer.tensor(mu, logvar, seed=1), answer.tensor(mu, logvar, seed=2)
    one, two = one.detach().cpu(), two.detach().cpu()
    if one.shape != mu.shape or one.std() < 1e-6:
        return None  # said by the first probe
    if torch.equal(one, two):
        return (
            "Two calls draw the same noise: a seed is set inside of your function, so that every "
            "step of the training would see the same; set seeds outside."
        )
    if (one.std(dim=0) < 1e-6).any():
        return "One noise serves the whole batch: every image needs its own."
    if (one.std(dim=1) < 1e-6).any():
        return "One noise serves all numbers of a code: each number needs its own."
    if are_correlated(one[:-1], one[1:]) or are_correlated(one[:, :-1], one[:, 1:]):
        return "The noise of neighbours hangs together: each number of each code needs its own."
    return None


def noise_carries_gradients(answer: Answer) -> str | None:
    """Look whether the gradients are those of mu + std * noise."""
    mu, logvar = torch.full((64, 3), -0.7), torch.ones(64, 3)
    z = answer.tensor(mu.requires_grad_(), logvar.requires_grad_())
    if z.requires_grad:
        z.sum().backward()
    mu, logvar = answer.inputs
    for name, value in (("mu", mu), ("logvar", logvar)):
        if value.grad is None:
            return (
                f"No gradient comes back from the drawn codes to {name}, so the encoder could not "
                "learn: draw the noise first, then compute the code from mu, logvar and noise."
            )
    if not mu.grad.any():
        return (
            "The gradient to mu is 0, as if it did not matter (torch.normal passes none on): draw "
            "the noise first, then compute the code from mu, logvar and noise."
        )
    if not same(mu.grad, torch.ones_like(mu), atol=1e-4):
        return (
            "A step of mu must move the code by as much, so its gradient is 1 everywhere; yours is "
            f"{number(mu.grad.flatten()[0].item())} for mu = -0.7: mu is added once, as it is, and "
            "the noise does not depend on it."
        )
    if not same(logvar.grad, 0.5 * (z - mu), atol=1e-4):
        return (
            "The gradient to logvar is not that of mu + std * noise: the noise must not depend "
            "on mu or logvar."
        )
    return None


@exercise(
    "04",
    probes=[
        draw_faults,
        draws_are_apart,
        Untouched(case([[0.5, 1.0]], [[0.0, 0.2]])),
        noise_carries_gradients,
        OnTheCard(case([[0.5, 1.0]], [[0.0, 0.2]])),
    ],
    hints=[
        "Draw noise from N(0, 1), of the shape of mu; then move and stretch it.",
        "How do you get a standard deviation from the logarithm of a variance? Try logvar = 0 and "
        "logvar = log 4: the answers are 1 and 2.",
        "Half the logarithm of a variance is the logarithm of its root. Stretch first, then move.",
    ],
    opens="Gradients now flow through the draw, so encoder and decoder learn together.",
)
def reparameterise(mu, logvar):
    """Return a draw from N(mu, exp(logvar)) that passes gradients on, (B, Z).

    mu, logvar: means and log-variances of the codes, (B, Z).
    """
    noise = torch.randn_like(mu)
    return mu + (logvar / 2).exp() * noise


# ---------------------------------------------------------------------------- importance weights


def iwae_of_torch(log_weights):
    """Return log of the mean weight, shifted by the largest one: the oracle."""
    largest = log_weights.max(dim=1).values
    return largest + (log_weights - largest[:, None]).exp().mean(1).log()


IWAE_CASES = (
    case([[0.0, 0.0]]),
    case([[0.0, -2.0]]),
    case([[0.0, -2.0, -1.0], [-3.0, 1.0, 0.5]]),
    case([[-0.5, -1.5], [0.0, 0.4], [1.0, 1.0]]),
)
IWAE_FAR = (case([[-800.0, -802.0]]), case([[800.0, 799.0]]), case([[-900.0, -100.0]]))

IWAE_MISTAKES = (
    Mistake(
        lambda w: w.mean(1),
        "You average the logarithms: that is the ordinary bound; average the weights themselves, "
        "then take the logarithm",
    ),
    Mistake(
        lambda w: w.logsumexp(1),
        "You sum the weights and do not divide by their number K: the bound would grow by log K "
        "for nothing",
    ),
    Mistake(
        lambda w: math.log(w.shape[1]) - w.logsumexp(1),
        "Yours is the loss, with a minus: the bound itself is wanted, which is to be large",
    ),
    Mistake(
        lambda w: w.exp().mean(1),
        "Yours is the mean weight: its logarithm is wanted",
    ),
    Mistake(
        lambda w: w.logsumexp(1) / w.shape[1],
        "You divide the logarithm by K: the mean is taken of the weights, inside of the logarithm",
    ),
    Mistake(
        lambda w: w.max(1).values,
        "You keep the largest weight only: the bound has the mean of all K",
    ),
    Mistake(
        lambda w: (w.logsumexp(1) - math.log(w.shape[1])).mean(),
        "Your bound is averaged over the batch: one number per image is wanted, shape (B,)",
    ),
    Mistake(
        lambda w: w.logsumexp(0) - math.log(w.shape[0]),
        "You take the mean over the images: the K codes of an image lie along dimension 1",
    ),
)


IWAE_WHY = "exp(-800) is 0 in a computer, and exp(800) is infinite; look for torch.logsumexp"


@exercise(
    "04",
    probes=[
        Values("your bound", iwae_of_torch, IWAE_CASES, IWAE_MISTAKES, per_image=True),
        Extremes("your bound", iwae_of_torch, IWAE_FAR, IWAE_WHY),
        *usual("your bound", IWAE_CASES[2], ("log_weights",)),
    ],
    hints=[
        "The bound is the logarithm of the mean of the K weights of an image, and you are given "
        "their logarithms.",
        "log(mean) = log(sum) - log(K). For the first part there is a function in torch that does "
        "not overflow.",
    ],
    opens="With K = 1 it is the ordinary bound; with more codes it comes nearer to log p(x).",
)
def iwae_bound(log_weights):
    """Return the importance-weighted bound of each image in nats, (B,).

    log_weights: log p(x|z) + log p(z) - log q(z|x), K codes each, (B, K).
    """
    return torch.logsumexp(log_weights, dim=1) - math.log(log_weights.shape[1])

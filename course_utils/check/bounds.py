"""Checks of chapter 04 on the whole bound: a faulty one to repair, and its two terms at work."""

from __future__ import annotations

from itertools import product

import torch
import torch.nn.functional as F
from torch import nn

from course_utils.check.autoencoding import bce_of_torch, some_images
from course_utils.check.calling import Answer
from course_utils.check.exercise import exercise
from course_utils.check.probes import Case, Mistake, Values, usual
from course_utils.check.training import floats
from course_utils.check.variational import kl_of_torch

# -------------------------------------------------------------------------------- the faulty bound

FAULTS = {
    "mean": "the reconstruction is averaged over the pixels while the KL is summed over the code, "
    "so the KL weighs hundreds of times too much",
    "std": "the KL takes logvar for a standard deviation",
    "sign": "the KL is subtracted from a loss, so that codes far from the prior are rewarded",
}


def handed_out_bound(logits, x, mu, logvar):
    """Return the negative bound of each image in nats, (B,)."""
    each = F.binary_cross_entropy_with_logits(logits, x, reduction="none")
    recon = each.flatten(1).mean(dim=1)
    kl = 0.5 * (mu**2 + logvar**2 - 1 - torch.log(logvar**2)).sum(dim=1)
    return recon - kl


def bound(logits, x, mu, logvar):
    """Return the negative bound by torch.distributions: the oracle."""
    return bce_of_torch(logits, x) + kl_of_torch(mu, logvar)


def with_faults(mean: bool, std: bool, sign: bool):
    """Return the bound with some of the three faults."""

    def formula(logits, x, mu, logvar):
        recon = bce_of_torch(logits, x) / (x[0].numel() if mean else 1)
        if std:
            kl = 0.5 * (mu**2 + logvar**2 - 1 - torch.log(logvar**2)).sum(1)
        else:
            kl = kl_of_torch(mu, logvar)
        return recon - kl if sign else recon + kl

    return formula


def left_over(*chosen: bool) -> str:
    """Return the sentence for the faults that are left."""
    left = [says for says, there in zip(FAULTS.values(), chosen, strict=True) if there]
    count = {1: "One fault is", 2: "Two faults are", 3: "All three faults are"}[len(left)]
    return f"{count} left: {'; and '.join(left)}"


BOUND_MISTAKES = [
    Mistake(with_faults(*chosen), left_over(*chosen))
    for chosen in product([False, True], repeat=3)
    if any(chosen)
] + [
    Mistake(lambda *a: bce_of_torch(a[0], a[1]), "The KL is missing altogether"),
    Mistake(lambda *a: bound(*a).mean(), "Yours is averaged over the batch: keep it, (B,)"),
    Mistake(lambda *a: -bound(*a), "Yours is the bound itself: the loss is minus that"),
]

BOUND_CASES = (
    Case(
        (
            torch.zeros(1, 1, 1, 2),
            torch.tensor([1.0, 0.0]).view(1, 1, 1, 2),
            torch.ones(1, 1),
            torch.ones(1, 1),
        ),
        "two undecided pixels, mu = 1, logvar = 1",
    ),
    Case(
        (
            2 * some_images(3, 1, 4, 5) - 1,
            some_images(5, 1, 4, 5)[2:],
            torch.tensor([[0.5, -1.0], [2.0, 0.1], [0.0, 0.3]]),
            torch.tensor([[0.2, -1.0], [0.5, -0.3], [2.0, -3.0]]),
        ),
        "three images of 4 by 5",
    ),
)


@exercise(
    "04",
    probes=[
        Values("your bound", bound, BOUND_CASES, BOUND_MISTAKES, per_image=True),
        *usual("your bound", BOUND_CASES[1], ("logits", "mu", "logvar")),
    ],
    starter=handed_out_bound,
    hints=[
        "There are three faults; each is a mistake that stands in print somewhere.",
        "Put in mu = 0 and logvar = 0: the KL must be 0. Put in mu = 5: is the loss larger?",
        "An image has 784 pixels. Are they summed, like the numbers of the code?",
    ],
    opens="With the pixels averaged, the code would have collapsed, without any error.",
)
def repaired_bound(logits, x, mu, logvar):
    """Return the negative bound of each image in nats, (B,)."""
    each = F.binary_cross_entropy_with_logits(logits, x, reduction="none")
    recon = each.flatten(1).sum(dim=1)
    kl = 0.5 * (mu.square() + logvar.exp() - 1 - logvar).sum(dim=1)
    return recon + kl


# ------------------------------------------------------------------------------- what beta trades

BETAS = (0.1, 1.0, 30.0)


def sweep(answer: Answer) -> str | None:
    """Train with three weights, and look at what the codes then cost."""
    x = floats(1_000, 21)
    costs: list[float] = []
    widths: list[torch.Tensor] = []
    for beta in BETAS:
        made = answer(x, beta)
        if not (isinstance(made, tuple) and len(made) == 2):
            return f"Your function returns a {type(made).__name__}; mu and logvar are wanted."
        mu, logvar = (torch.as_tensor(value).detach().double() for value in made)
        if mu.shape != logvar.shape or mu.ndim != 2 or len(mu) != len(x):
            return f"mu and logvar have shapes {tuple(mu.shape)}, {tuple(logvar.shape)}: (N, Z)."
        if not (mu.isfinite().all() and logvar.isfinite().all()):
            return f"For beta = {beta:g} some of your codes are not finite: the training diverged."
        costs.append(kl_of_torch(mu, logvar).mean().item())
        widths.append(logvar)
    return sweep_fault(costs) or width_fault(widths[0])


def width_fault(logvar: torch.Tensor) -> str | None:
    """Say when codes that cost much are not narrower than the prior: they could not say anything.

    Sums over the code, and shares of far too wide ones, do not mind units that are silent.
    """
    total, wide = logvar.sum(1).mean().item(), (logvar > 0.3).double().mean().item()
    if total < -2 and wide < 0.15:
        return None
    return (
        f"For beta = {BETAS[0]:g} the codes cost much, so they must be much narrower than the "
        f"prior; your log-variances add up to {total:.2g} per image, and {wide:.0%} of them are "
        "above 0.3: is it the *logarithm* of the variance, and does it come second?"
    )


def sweep_fault(costs: list[float]) -> str | None:
    """Say what is wrong with the KL, in nats per image, for small, usual and large beta."""
    few, usual_cost, many = costs
    found = ", ".join(f"{cost:.2f} for beta = {b:g}" for cost, b in zip(costs, BETAS, strict=True))
    if not all(cost < float("inf") for cost in costs):
        return f"The training diverged: the KL is {found}."
    if few < 0.1:
        return f"The codes say nothing, even where they cost little: the KL is {found} nats."
    if abs(few - many) < 0.05 * few:
        return f"beta changes nothing: the KL is {found} nats. Does it reach the loss?"
    if many > usual_cost or usual_cost > few:
        return f"A dearer code must say less; yours costs {found} nats. Which term has the weight?"
    if many > 0.5 * few:
        return f"beta works, and hardly: the KL is {found} nats. Is the reconstruction a sum?"
    return None


@exercise(
    "04",
    probes=[sweep],
    hints=[
        "Use what you have: gaussian_kl, reparameterise and bce_from_logits, in a small network "
        "(784, 128, and a code of 8).",
        "The loss is the mean over the batch of reconstruction + beta * KL.",
        "Ten passes with batches of 50 and Adam at 2e-3 will do. Return the encoder's mu and "
        "logvar of all images.",
    ],
    opens="The weight sets how many nats the code may cost; at 1 the bound is tightest.",
    seconds=5,
)
def beta_sweep(x, beta):
    """Train a VAE with weight beta on its KL; return mu and logvar of x.

    x: images (N, 1, 28, 28) in [0, 1].  beta: above 0.
    mu, logvar: of the codes of all images, both (N, Z).
    """
    torch.manual_seed(0)
    down = nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 16)
    encoder = nn.Sequential(nn.Flatten(), *down)
    decoder = nn.Sequential(nn.Linear(8, 128), nn.ReLU(), nn.Linear(128, 784))
    parameters = [*encoder.parameters(), *decoder.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=2e-3)
    nll = F.binary_cross_entropy_with_logits
    for _ in range(10):
        for batch in x[torch.randperm(len(x))].split(50):
            mu, logvar = encoder(batch).chunk(2, dim=1)
            z = mu + (logvar / 2).exp() * torch.randn_like(mu)
            logits, target = decoder(z), batch.flatten(1)
            recon = nll(logits, target, reduction="sum")
            kl = 0.5 * (mu.square() + logvar.exp() - 1 - logvar).sum()
            optimizer.zero_grad()
            ((recon + beta * kl) / len(batch)).backward()
            optimizer.step()
    with torch.no_grad():
        mu, logvar = encoder(x).chunk(2, dim=1)
    return mu, logvar

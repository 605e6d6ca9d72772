"""Checks of chapter 06 on playing: a step with faults, and a game to be won."""

from __future__ import annotations

import math
from itertools import product

import torch
import torch.nn.functional as F
from torch import nn

from course_utils.check.calling import Answer, Fault, evaluating
from course_utils.check.exercise import exercise
from course_utils.check.wording import same
from course_utils.data import plane

# ------------------------------------------------------------------------------ a step with faults


def handed_out_game(g, d, g_opt, d_opt, real):
    """Take a step of each network; real is in [0, 1], g makes [-1, 1]."""
    bce = F.binary_cross_entropy_with_logits
    g_opt.zero_grad()
    d_opt.zero_grad()
    fake = g(torch.randn(len(real), 2))
    says_real, says_fake = d(real).sigmoid(), d(fake).sigmoid()
    d_loss = bce(says_real, torch.ones_like(says_real))
    d_loss = d_loss + bce(says_fake, torch.zeros_like(says_fake))
    d_loss.backward(retain_graph=True)
    d_opt.step()
    says_fake = d(fake).sigmoid()
    g_loss = bce(says_fake, torch.ones_like(says_fake))
    g_loss.backward()
    g_opt.step()
    return d_loss.item(), g_loss.item()


def a_game(detach=True, signed=True, logits=True, label=1.0, anew=False):
    """Return a step of the game, right or with faults; `anew` draws for each network."""
    bce = F.binary_cross_entropy_with_logits

    def step(g, d, g_opt, d_opt, real):
        def says(x):
            return d(x) if logits else d(x).sigmoid()

        def cost(said, target):
            return bce(said, torch.full_like(said, target))

        g_opt.zero_grad()
        d_opt.zero_grad()
        fake = g(torch.randn(len(real), 2))
        shown = fake.detach() if detach else fake
        d_loss = cost(says(2 * real - 1 if signed else real), 1.0) + cost(says(shown), 0.0)
        d_loss.backward(retain_graph=True)
        d_opt.step()
        if anew:
            fake = g(torch.randn(len(real), 2))
        g_loss = cost(says(fake), label)
        g_loss.backward()
        g_opt.step()
        return d_loss.item(), g_loss.item()

    return step


def played(step) -> tuple[list, list[torch.Tensor], list[torch.Tensor]]:
    """Return the losses of three steps, and the weights that generator and discriminator reach.

    By plain gradient descent, since Adam hides the size of a gradient. Each step draws from the
    same seed, as a call of an answer does.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        g = nn.Sequential(nn.Linear(2, 4), nn.Tanh())
        d = nn.Sequential(nn.Linear(4, 5), nn.LeakyReLU(0.2), nn.Linear(5, 1), nn.Flatten(0))
        opts = [torch.optim.SGD(net.parameters(), lr=0.3) for net in (g, d)]
        losses = []
        for i in range(3):
            real = torch.rand(6, 4, generator=torch.Generator().manual_seed(i)).sqrt()
            torch.manual_seed(0)
            made = step(g, d, *opts, real)
            if not (isinstance(made, tuple) and len(made) == 2):
                raise Fault("Two numbers are wanted: the losses of discriminator and generator.")
            losses += [float(torch.as_tensor(value).detach()) for value in made]
    return losses, *([p.detach().clone() for p in net.parameters()] for net in (g, d))


GAME_FAULTS = {
    "detach": "the discriminator's loss also reaches the generator, whose step then follows both "
    "losses, the one against the other",
    "signed": "real images come in [0, 1] and generated ones in [-1, 1], so that the discriminator "
    "tells them apart by their range alone",
    "logits": "a sigmoid is applied before a loss that applies one itself, so that no answer is "
    "ever sure",
}
"""What is said of each fault that was handed out."""


def game_left(**right: bool) -> str:
    """Return the sentence for the faults that are left."""
    left = [GAME_FAULTS[name] for name, is_right in right.items() if not is_right]
    count = {1: "One fault is", 2: "Two faults are", 3: "All three faults are"}[len(left)]
    return f"{count} left: {'; and '.join(left)}."


def game_faults(answer: Answer) -> str | None:
    """Compare three steps with those of an oracle, and with those of known faults."""
    got = played(lambda *parts: answer(*parts, copies=False))
    if agrees(got):
        return None
    for chosen in product([True, False], repeat=3):
        settings = dict(zip(GAME_FAULTS, chosen, strict=True))
        if not all(chosen) and agrees(got, **settings):
            return game_left(**settings)
    if agrees(got, label=0.0):
        return (
            "The generator's images are labelled 0 in its own step: it learns to be found out "
            "(after a step the discriminator is surer of them, not less sure)."
        )
    wanted = played(a_game())
    if all(same(a, b) for a, b in zip(got[1], started()[0], strict=True)):
        return "The generator's weights stay as they were: does its loss reach it, and its step?"
    if all(same(a, b) for a, b in zip(got[2], started()[1], strict=True)):
        return "The discriminator's weights stay as they were: does its loss reach it?"
    if not math.isclose(got[0][0], wanted[0][0], rel_tol=1e-4):
        return (
            f"The discriminator's first loss is {got[0][0]:.4g}, and {wanted[0][0]:.4g} is wanted: "
            "look at the range of real, at sigmoids, at how the codes are drawn (normal), and "
            "whether its two parts are added."
        )
    if not math.isclose(got[0][1], wanted[0][1], rel_tol=1e-4):
        return (
            f"The generator's first loss is {got[0][1]:.4g}, and {wanted[0][1]:.4g} is wanted: it "
            "is taken after the discriminator's step, on logits, with the label 1."
        )
    return (
        "The losses of the first step are right, the weights after three are not: which gradients "
        "are kept from the step before?"
    )


def started() -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Return the weights that both networks begin with."""
    _, g, d = played(lambda *parts: (0.0, 0.0))
    return g, d


def agrees(got, **settings) -> bool:
    """Tell whether a training went as that of a known step, whichever way it draws."""
    return any(went_alike(got, played(a_game(**settings, anew=anew))) for anew in (False, True))


def went_alike(one, other) -> bool:
    """Tell whether two trainings had the same losses and reached the same weights."""
    losses = all(math.isclose(a, b, rel_tol=1e-4) for a, b in zip(one[0], other[0], strict=True))
    weights = zip(one[1] + one[2], other[1] + other[2], strict=True)
    return losses and all(same(a, b) for a, b in weights)


@exercise(
    "06",
    probes=[game_faults],
    starter=handed_out_game,
    hints=[
        "There are three faults. Two of them one finds by asking of each line: in which range is "
        "this, and is it a logit or a probability?",
        "For the third print the gradients of g's weights just before g_opt.step(). Whose loss do "
        "they come from?",
        "The chapter's step has one word more where the discriminator looks at the fakes, and no "
        "retain_graph.",
    ],
    opens="A game with a fault still plays, and its losses look like those of any other game.",
)
def repaired_game(g, d, g_opt, d_opt, real):
    """Take a step of each network; real is in [0, 1], g makes [-1, 1]."""
    bce = F.binary_cross_entropy_with_logits
    fake = g(torch.randn(len(real), 2))
    says_real, says_fake = d(2 * real - 1), d(fake.detach())
    d_loss = bce(says_real, torch.ones_like(says_real))
    d_loss = d_loss + bce(says_fake, torch.zeros_like(says_fake))
    d_opt.zero_grad()
    d_loss.backward()
    d_opt.step()
    says_fake = d(fake)
    g_loss = bce(says_fake, torch.ones_like(says_fake))
    g_opt.zero_grad()
    g_loss.backward()
    g_opt.step()
    return d_loss.item(), g_loss.item()


# ------------------------------------------------------------------------------- a game to be won

MOST_SPOTS, ENOUGH = 7, 0.6  # spots that must be hit, and the share of points that must lie in one
TURN = 0.31  # radians, so that nobody has learnt the middles by heart


def turned(x: torch.Tensor, angle: float) -> torch.Tensor:
    """Return points (N, 2) turned around 0."""
    c, s = math.cos(angle), math.sin(angle)
    return x @ torch.tensor([[c, s], [-s, c]])


def game_won(answer: Answer) -> str | None:
    """Train the answer on turned spots, and look at what its generator draws."""
    points, _ = plane.spots_points(4_000, torch.Generator().manual_seed(51))
    points = turned(points, TURN)
    g = answer(points)
    if not callable(g):
        return f"Your function returns a {type(g).__name__}: return the generator itself."
    z = torch.randn(2_000, 2, generator=torch.Generator().manual_seed(52))
    with evaluating(g):
        made, again = torch.as_tensor(g(z)), torch.as_tensor(g(z))
    return draws_fault(made.float(), again.float(), points)


def draws_fault(made, again, points) -> str | None:
    """Say what is wrong with points that a generator drew, twice from the same numbers."""
    if made.shape != (2_000, 2):
        return f"For 2000 pairs of numbers your generator gives {tuple(made.shape)}: (B, 2)."
    if not made.isfinite().all():
        return "Your generator gives numbers that are not finite: has a loss gone astray?"
    if not torch.equal(made, again):
        return (
            "Twice the same numbers z give different points: a generator draws nothing itself, all "
            "chance comes in through z."
        )
    if (torch.cdist(made, points).amin(1) < 1e-6).double().mean() > 0.1:
        return "Your generator hands out points that it was trained on: it is to make new ones."
    if made.abs().max() <= 1 and points.abs().max() > 2:
        return (
            f"Your generator reaches from {made.min().item():.2g} to {made.max().item():.2g}, and "
            f"the points go out to {points.abs().max().item():.2g}: what is its last layer?"
        )
    home = turned(made, -TURN)
    hit = plane.spots_hit(home)
    near = torch.cdist(home, plane.centres()).amin(1) < 3 * plane.SPOT_WIDTH
    share = near.double().mean().item()
    if hit <= 3 and (share >= 0.3 or home.std(0).max() < 0.25):
        return (
            f"Your points run together, {hit} of 8 spots are hit: collapse. Look at the two rates, "
            "and at Adam's memory."
        )
    if share < ENOUGH:
        return (
            f"Spots hit: {hit} of 8; {share:.0%} of the points lie in a spot, {ENOUGH:.0%} "
            "are the goal. Does it train long enough, does either network run ahead, and does its "
            "optimizer go on in a direction that the other has answered?"
        )
    if hit < MOST_SPOTS:
        return (
            f"Your points lie well, {share:.0%} of them in a spot, and miss some spots: {hit} of 8 "
            f"are hit, {MOST_SPOTS} are the goal."
        )
    return None


@exercise(
    "06",
    probes=[game_won],
    hints=[
        "Two small multilayer perceptrons, 2 to 64 to 64 to 2 and to 1, and your two losses. "
        "Detach the fakes in the discriminator's step.",
        "Batches of about 128 points, some 800 steps, the same rate for both networks. Plot 500 "
        "generated points every 200 steps.",
        "Adam's first beta is 0.9: it goes on for ten steps in a direction that the other network "
        "has answered long ago. The chapter takes 0.5 (and 0.99); a rate of 2e-3 is good.",
    ],
    opens="Nobody told the generator where the spots are; it learned it from a judge's slopes.",
    seconds=4,
)
def plane_gan(x):
    """Train a GAN on points x; return its generator, g(z) -> points (B, 2).

    x: real points, (N, 2).  z: normal random numbers, two for each point.
    """
    torch.manual_seed(0)

    def network(n_out):
        return nn.Sequential(
            nn.Linear(2, 64), nn.LeakyReLU(0.2),
            nn.Linear(64, 64), nn.LeakyReLU(0.2),
            nn.Linear(64, n_out),
        )  # fmt: skip

    g, d = network(2), network(1)
    settings = {"lr": 2e-3, "betas": (0.5, 0.99)}
    g_adam = torch.optim.Adam(g.parameters(), **settings)
    d_adam = torch.optim.Adam(d.parameters(), **settings)
    for _ in range(800):
        real = x[torch.randint(len(x), (128,))]
        fake = g(torch.randn(128, 2))
        judging = F.softplus(-d(real)).mean()
        judging = judging + F.softplus(d(fake.detach())).mean()
        d_adam.zero_grad()
        judging.backward()
        d_adam.step()
        forging = F.softplus(-d(fake)).mean()
        g_adam.zero_grad()
        forging.backward()
        g_adam.step()
    return g

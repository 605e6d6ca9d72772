"""The catalogue of chapter 06: what the game is worth, a step with faults, a game to be won."""

import math

import torch
import torch.nn.functional as F
from check_answers import enter, right, wrong
from scipy.spatial import distance
from torch import nn

bce = F.binary_cross_entropy_with_logits

# ------------------------------------------------------------------------------ the divergence


def kl(p, q):
    return F.kl_div(q.log(), p, reduction="sum")


enter(
    "jensen_shannon",
    {
        "twice as much": lambda p, q: kl(p, (p + q) / 2) + kl(q, (p + q) / 2),
        "in bits": lambda p, q: (kl(p, (p + q) / 2) + kl(q, (p + q) / 2)) / math.log(4),
        "Yours is KL(p, q)": lambda p, q: (p * torch.log(p / q)).sum(),
        "Yours is KL(q, p)": lambda p, q: F.kl_div(p.log(), q, reduction="sum"),
        "You average KL(p, q) and KL(q, p)": lambda p, q: 0.5 * (kl(p, q) + kl(q, p)),
        "the wrong side": lambda p, q: (kl((p + q) / 2, p) + kl((p + q) / 2, q)) / 2,
        "looks at p only": lambda p, q: 0.5 * kl(p, (p + q) / 2),
        "the root of it": lambda p, q: distance.jensenshannon(p.numpy(), q.numpy()).item(),
        "0 * log 0": lambda p, q: 0.5 * sum((t * torch.log(2 * t / (p + q))).sum() for t in (p, q)),
        "wrong sign": lambda p, q: -0.5 * (kl(p, (p + q) / 2) + kl(q, (p + q) / 2)),
        "with RuntimeError": lambda p, q: torch.stack([p, q[:1]]).mean(),
    },
    [
        lambda p, q: 0.5 * (kl(p, (p + q) / 2) + kl(q, (p + q) / 2)),
        lambda p, q: distance.jensenshannon(p.double().numpy(), q.double().numpy()) ** 2,
        lambda p, q: torch.special.entr((p + q) / 2).sum()
        - (torch.special.entr(p) + torch.special.entr(q)).sum() / 2,
    ],
)  # fmt: skip

# ------------------------------------------------------------------------------ two lessons


def slopes(logits, *losses, reduce=torch.sum):
    """Slopes by autograd, one loss after the other."""
    made = []
    for loss in losses:
        a = logits.clone().requires_grad_(True)
        reduce(loss(a)).backward()
        made.append(a.grad)
    return torch.stack(made)


def saturating(a):
    return torch.log(1 - torch.sigmoid(a))


def usual(a):
    return -F.logsigmoid(a)


enter(
    "lessons",
    {
        "the sum of both slopes: ": lambda a: torch.stack([2 * a.sigmoid() - 1] * 2),
        "slopes in D": lambda a: torch.stack([1 / (1 - a.sigmoid()), 1 / a.sigmoid()]),
        "rows are exchanged": lambda a: slopes(a, usual, lambda v: F.softplus(-v) + v).abs(),
        "carry their sign": lambda a: slopes(a, lambda v: -F.softplus(v), usual),
        "You average over the batch": lambda a: slopes(
            a, F.softplus, usual, reduce=torch.mean
        ).abs(),
        "Yours are the losses": lambda a: torch.stack([F.softplus(a), usual(a)]),
        "slope of the sigmoid": lambda a: slopes(a, torch.sigmoid, torch.sigmoid),
        "a row for each logit": lambda a: torch.stack([a.sigmoid(), 1 - a.sigmoid()], dim=-1),
        "Both of your rows belong to log(1 - D)": lambda a: a.sigmoid().expand(2, -1),
        "Both of your rows belong to -log D": lambda a: slopes(a, usual, usual).abs(),
        "has rounded to 0 or 1": lambda a: slopes(a, saturating, lambda v: -v.sigmoid().log())
        .abs().nan_to_num(0.0),
        "shape": lambda a: a.sigmoid(),
    },
    [
        lambda a: torch.stack([torch.sigmoid(a), torch.sigmoid(-a)]),
        lambda a: slopes(a, F.softplus, usual).abs(),
        lambda a: (1 + torch.exp(torch.stack([-a, a]).clamp(max=80))).reciprocal(),
    ],
)  # fmt: skip


@wrong("lessons", "carry their sign")
def both_downhill(logits):
    return -torch.stack([logits.sigmoid(), (-logits).sigmoid()])


# ------------------------------------------------------------------------------ a step


def game(detach=True, signed=True, logits=True, clear=True, label=1, fresh_z=False, parts=(1, 1)):
    """A step of the game put together from its lines."""

    def step(g, d, g_opt, d_opt, real):
        judge = d if logits else lambda x: torch.sigmoid(d(x))
        real = real * 2 - 1 if signed else real
        fake = g(torch.randn(real.shape[0], 2))
        if clear:
            g_opt.zero_grad()
        a, b = judge(real), judge(fake.detach() if detach else fake)
        d_loss = parts[0] * bce(a, torch.ones(len(a))) + parts[1] * bce(b, torch.zeros(len(b)))
        d_opt.zero_grad()
        d_loss.backward(retain_graph=True)
        d_opt.step()
        if detach and clear:
            g_opt.zero_grad()
        c = judge(fake)
        g_loss = bce(c, torch.full((len(c),), float(label)))
        g_loss.backward()
        g_opt.step()
        return d_loss.item(), g_loss.item()

    return step


enter(
    "repaired_game",
    {
        "All three": game(detach=False, signed=False, logits=False),
        "One fault is left: the discriminator's loss": game(detach=False),
        "One fault is left: real images": game(signed=False),
        "One fault is left: a sigmoid": game(logits=False),
        "Two faults are left: real images come": game(signed=False, logits=False),
        "Two faults are left: the discriminator's loss also reaches the generator, whose step then "
        "follows both losses, the one against the other; and a sigmoid": game(
            detach=False, logits=False
        ),
        "labelled 0 in its own step": game(label=0),
        "whether its two parts": game(parts=(0.5, 0.5)),
        "which gradients are kept": game(clear=False),
        "with TypeError": lambda g, d, g_opt, d_opt, real: d(g(len(real))),
    },
    [game()],
)


@wrong("repaired_game", "generator's weights stay")
def game_without_a_way_back(g, d, g_opt, d_opt, real):
    fake = g(torch.randn(len(real), 2)).detach()
    d_loss = F.softplus(-d(2 * real - 1)).mean() + F.softplus(d(fake)).mean()
    d_opt.zero_grad()
    d_loss.backward()
    d_opt.step()
    g_loss = F.softplus(-d(fake)).mean()
    g_opt.zero_grad()
    g_loss.backward()
    g_opt.step()
    return d_loss.item(), g_loss.item()


@right("repaired_game")
def game_with_no_grad(g, d, g_opt, d_opt, real):
    z = torch.randn(len(real), 2)
    with torch.no_grad():
        fake = g(z)
    d_loss = F.softplus(-d(2 * real - 1)).mean() + F.softplus(d(fake)).mean()
    d_opt.zero_grad()
    d_loss.backward()
    d_opt.step()
    g_loss = F.softplus(-d(g(z))).mean()
    g_opt.zero_grad()
    g_loss.backward()
    g_opt.step()
    return d_loss.item(), g_loss.item()


@right("repaired_game")
def game_that_freezes(g, d, g_opt, d_opt, real):
    fake = g(torch.randn(len(real), 2))
    loss = -F.logsigmoid(d(2 * real - 1)).mean() - F.logsigmoid(-d(fake.detach())).mean()
    d.zero_grad(set_to_none=False)
    loss.backward()
    d_opt.step()
    d.requires_grad_(False)
    g_loss = -F.logsigmoid(d(fake)).mean()
    g.zero_grad()
    g_loss.backward()
    g_opt.step()
    d.requires_grad_(True)
    return float(loss), float(g_loss)


# ------------------------------------------------------------------------------ a game to be won


def gan(x, steps=900, lr=2e-3, ratio=1.0, betas=(0.5, 0.99), act=nn.LeakyReLU, seed=3, label=1):
    """A GAN of points, trained."""
    torch.manual_seed(seed)

    def net(n):
        return nn.Sequential(nn.Linear(2, 64), act(), nn.Linear(64, 64), act(), nn.Linear(64, n))

    g, d = net(2), net(1)
    g_opt = torch.optim.Adam(g.parameters(), lr * ratio, betas=betas)
    d_opt = torch.optim.Adam(d.parameters(), lr, betas=betas)
    one, zero = torch.ones(128, 1), torch.zeros(128, 1)
    for _ in range(steps):
        fake = g(torch.randn(128, 2))
        d_loss = bce(d(x[torch.randint(len(x), (128,))]), one) + bce(d(fake.detach()), zero)
        d_opt.zero_grad()
        d_loss.backward()
        d_opt.step()
        g_loss = bce(d(fake), torch.full_like(one, label))
        g_opt.zero_grad()
        g_loss.backward()
        g_opt.step()
    return g


def by_heart(x):
    """Hands a training point out, chosen by the first number of z."""
    order = torch.linspace(-2.5, 2.5, len(x))
    return lambda z: x[torch.searchsorted(order, z[:, 0].contiguous()).clamp(max=len(x) - 1)]


enter(
    "plane_gan",
    {
        "collapse. Look": lambda x: gan(x, ratio=10.0),
        "of the points lie in a spot": lambda x: gan(x, steps=100),
        "trained on": by_heart,
        "what is its last layer": lambda x: nn.Sequential(nn.Linear(2, 2), nn.Tanh()),
        "draws nothing itself": lambda x: (
            lambda z: x[torch.randint(len(x), (len(z),))] + 0.1 * torch.randn_like(z)
        ),
        "return the generator itself": lambda x: x.mean(0),
        "gives (2000, 1)": lambda x: nn.Linear(2, 1),
        "not finite": lambda x: lambda z: z / 0.0,
        "miss some spots": lambda x: gan(x[x[:, 0] > 0]),
        "with RuntimeError": lambda x: nn.Linear(3, 2),
    },
    [
        gan,
        lambda x: gan(x, act=nn.Tanh),
        lambda x: gan(x, seed=8, steps=1200),
    ],
)

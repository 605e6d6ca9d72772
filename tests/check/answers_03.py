"""The catalogue of chapter 03: decibels, standardised pixels, losses, denoisers."""

import torch
import torch.nn.functional as F
from check_answers import enter, right, wrong
from skimage.metrics import peak_signal_noise_ratio
from torch import nn


def mse(r, x):
    return ((r - x) ** 2).mean(dim=(1, 2, 3))


enter(
    "psnr",
    {
        "over the batch before the logarithm": lambda r, x: -10 * torch.log10(F.mse_loss(r, x)),
        "You average over the batch: one": lambda r, x: (-10 * mse(r, x).log10()).mean(),
        "natural logarithm": lambda r, x: -10 * torch.log(mse(r, x)),
        "twice as much": lambda r, x: 20 * torch.log10(1 / mse(r, x)),
        "half of it": lambda r, x: 10 * torch.log10(1 / mse(r, x).sqrt()),
        "wrong sign": lambda r, x: 10 * torch.log10(mse(r, x)),
        "sum the error": lambda r, x: -10 * ((r - x) ** 2).flatten(1).sum(1).log10(),
        "peak is 255": lambda r, x: 10 * torch.log10(255**2 / mse(r, x)),
        "absolute error": lambda r, x: -10 * F.l1_loss(r, x, reduction="none").mean((1, 2, 3))
        .log10(),
        "sum over everything but the batch": lambda r, x: -10 * (r - x).square().mean(1).log10(),
        "with TypeError": lambda r, x: -10 * torch.log10(r - x, 2),
    },
    [
        lambda r, x: 10 * torch.log10(1 / mse(r, x)),
        lambda r, x: -20 * torch.log10((r - x).flatten(1).norm(dim=1) / x[0].numel() ** 0.5),
        lambda r, x: [
            peak_signal_noise_ratio(b.numpy(), a.numpy(), data_range=1)
            for a, b in zip(r, x, strict=True)
        ],
    ],
)  # fmt: skip


def scaled(x, like, eps=0.0):
    """Pixels less their mean, over their deviation; eps as many add it."""
    return (x - like.mean(0)) / (like.std(0) + eps)


def tidy(x, t):
    """Pixels, and 0 where nothing varies."""
    made = scaled(x, t)
    made[:, t.std(0) == 0] = 0
    return made


@right("standardise")
def by_the_pixel(x, train):
    made = torch.zeros_like(x)
    for i in range(x.shape[1]):
        deviation = train[:, i].std(unbiased=False)
        if deviation > 0:
            made[:, i] = (x[:, i] - train[:, i].mean()) / deviation
    return made


@wrong("standardise", "changes the x")
def in_place(x, train):
    x -= train.mean(0)
    x /= train.std(0)
    x[:, train.std(0) == 0] = 0
    return x


enter(
    "standardise",
    {
        "gives nan": lambda x, t: scaled(x, t),
        "gives 1e+08: it would drown": lambda x, t: scaled(x, t, eps=1e-8),
        "and 1 here, gives 1:": lambda x, t: (x - t.mean(0)) / t.std(0).masked_fill(
            t.std(0) == 0, 1.0
        ),
        "of the images themselves": lambda x, t: scaled(x, x),
        "one mean and one deviation": lambda x, t: ((x - t.mean()) / t.std()).masked_fill(
            t.std(0) == 0, 0
        ),
        "divide by the variance": lambda x, t: (tidy(x, t) / t.std(0)).nan_to_num(0.0),
        "do not divide": lambda x, t: (x - t.mean(0)).masked_fill(t.std(0) == 0, 0),
        "do not take the mean off": lambda x, t: (x / t.std(0)).masked_fill(t.std(0) == 0, 0),
    },
    [
        tidy,
        lambda x, t: torch.nan_to_num(scaled(x, t), posinf=0.0, neginf=0.0),
    ],
)  # fmt: skip


def dae_loss(shared=False, spoilt=False, scale=lambda x: 1.0, over=len, noisy=True):
    """A denoising loss put together from its lines."""

    def loss(model, x, sigma):
        noise = sigma * torch.randn(x.shape[1:] if shared else x.shape)
        seen = x + scale(x) * noise if noisy else x
        target = seen if spoilt else x
        return ((model(seen) - target) ** 2).sum() / over(x)

    return loss


@wrong("repaired_denoising", "noisy afterwards")
def with_a_copy_of_the_wrong_one(model, x, sigma):
    clean = x.clone()
    x += sigma * torch.randn_like(x)
    return (model(x) - clean).square().sum() / len(x)


@right("repaired_denoising")
def with_a_loop(model, x, sigma):
    total = 0
    noisy = torch.stack([image + sigma * torch.randn(image.shape) for image in x])
    for a, b in zip(model(noisy), x, strict=True):
        total = total + F.mse_loss(a, b, reduction="sum")
    return total / x.shape[0]


enter(
    "repaired_denoising",
    {
        "Both faults": dae_loss(shared=True, spoilt=True),
        "One fault is left: the same noise": dae_loss(shared=True),
        "One fault is left: what the answer is compared with": dae_loss(spoilt=True),
        "averaged over the pixels": dae_loss(over=torch.numel),
        "summed over the batch": dae_loss(over=lambda x: 1),
        "shown the clean images": dae_loss(noisy=False),
        "has the deviation": dae_loss(scale=lambda x: 0.5),
        "a noise of its own": lambda m, x, s: (
            m(x + s * torch.randn_like(x)) - (x + s * torch.randn_like(x))
        ).square().sum() / len(x),
        "cut to [0, 1]": lambda m, x, s: (m((x + s * torch.randn_like(x)).clamp(0, 1)) - x)
        .square().sum() / len(x),
        "has shape": lambda m, x, s: (m(x + s * torch.randn_like(x)) - x).square().flatten(1)
        .sum(1),
        "No gradient": lambda m, x, s: dae_loss()(m, x, s).item(),
        "halved": lambda m, x, s: 0.5 * dae_loss()(m, x, s),
    },
    [
        dae_loss(),
        lambda m, x, s: (m(torch.normal(x, s)) - x).square().flatten(1).sum(1).mean(),
    ],
)  # fmt: skip


def search(v, p, step=0.002):
    """The best constant by a search in steps."""
    tried = torch.arange(0, 1 + step, step)
    return tried[torch.stack([(v - c).abs().pow(p).sum() for c in tried]).argmin()]


def descend(v, p, rate=0.1, steps=3000):
    """The best constant by gradient descent with steps that shrink."""
    c = torch.tensor(0.5, requires_grad=True)
    for i in range(steps):
        (slope,) = torch.autograd.grad((v - c).abs().pow(p).mean(), c)
        c = (c - rate / (1 + i / 100) * slope).detach().requires_grad_()
    return c.item()


enter(
    "best_constant",
    {
        "Yours is the mean": lambda v, p: v.mean(),
        "Yours is the median": lambda v, p: v.median(),
        "halfway": lambda v, p: (v.max() + v.min()) / 2,
        "smallest cost": lambda v, p: (v - search(v, p)).abs().pow(p).mean(),
        "smallest of the values": lambda v, p: min(v.tolist()),
        "not for p = 1": lambda v, p: search(v, p) if p > 1 else v.mean(),
        "is not the best one": lambda v, p: (v - torch.linspace(0, 1, 1001)[:, None]).pow(p).mean(1)
        .argmin() / 1000 if p > 2 else 0.5,
        "with RuntimeError": lambda v, p: (v - torch.linspace(0, 1, 1001)).abs().mean(),
    },
    [
        search,
        descend,
        lambda v, p: v.median() if p == 1 else v.mean() if p == 2 else search(v, p),
    ],
)  # fmt: skip


def denoiser(x, sigma, passes=20, lr=2e-3, wide=256, once=False, spoilt=False, out=nn.Sigmoid):
    """A small denoiser, trained."""
    torch.manual_seed(4)
    net = nn.Sequential(
        nn.Flatten(), nn.Linear(784, wide), nn.ReLU(), nn.Linear(wide, 784), out(),
        nn.Unflatten(1, (1, 28, 28)),
    )  # fmt: skip
    optimizer = torch.optim.Adam(net.parameters(), lr)
    fixed = torch.randn_like(x)
    for _ in range(passes):
        for rows in torch.randperm(len(x)).split(50):
            noise = fixed[rows] if once else torch.randn_like(x[rows])
            noisy = x[rows] + sigma * noise
            error = (net(noisy) - (noisy if spoilt else x[rows])).pow(2).sum() / len(rows)
            optimizer.zero_grad()
            error.backward()
            optimizer.step()
    return net


enter(
    "trained_denoiser",
    {
        "noise is still there": lambda x, s: nn.Identity(),
        "no better than that of the average digit": lambda x, s: denoiser(
            x, s, spoilt=True, out=nn.Identity
        ),
        "hardly met the noise": lambda x, s: denoiser(x, 0.0, out=nn.Identity),
        "draw noise anew": lambda x, s: denoiser(x, s, once=True, out=nn.Identity, lr=1e-3),
        "have shape": lambda x, s: nn.Flatten(),
        "return the trained model": lambda x, s: x.mean(0),
        "with RuntimeError": lambda x, s: nn.Linear(784, 784),
    },
    [
        denoiser,
        lambda x, s: denoiser(x, s, out=nn.Identity, lr=1e-3),
        lambda x, s: denoiser(x, s, wide=400, passes=15),
    ],
)

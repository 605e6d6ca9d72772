"""The catalogue of chapter 03: decibels, standardised pixels, losses, denoisers, dreams."""

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


# ------------------------------------------------------------------ where a denoiser points


def pointed(x, points, sigma, exponent=lambda d, s: -(d**2) / (2 * s**2), over=1, scale=None):
    """A score put together from its lines."""
    weights = torch.softmax(exponent(torch.cdist(x, points), sigma), over)
    return (weights @ points - x) / (sigma**2 if scale is None else scale(sigma))


@wrong("score_of_points", "nearest clean point")
def one_neighbour(x, points, sigma):
    closest = [points[(points - row).norm(dim=1).argmin()] for row in x]
    return (torch.stack(closest) - x) / sigma**2


@wrong("score_of_points", "slope of the density")
def by_autograd_without_log(x, points, sigma):
    x = x.clone().requires_grad_()
    bells = torch.exp(-((x[:, None] - points) ** 2).sum(-1) / (2 * sigma**2)).mean(1)
    bells.sum().backward()
    return x.grad


@wrong("score_of_points", "rounds to 0 by itself")
def bells_divided_by_their_sum(x, points, sigma):
    bells = torch.exp(-((x[:, None] - points) ** 2).sum(2) / (2 * sigma**2))
    return (bells @ points / bells.sum(1, keepdim=True) - x) / sigma**2


@right("score_of_points")
def with_a_loop_over_the_noisy(x, points, sigma):
    made = []
    for row in x:
        logs = torch.tensor([-(row - p).dot(row - p) / (2 * sigma**2) for p in points])
        chance = (logs - logs.logsumexp(0)).exp()
        made.append(sum(w * (p - row) for w, p in zip(chance, points, strict=True)) / sigma**2)
    return torch.stack(made)


@right("score_of_points")
def by_autograd(x, points, sigma):
    x = x.clone().requires_grad_()
    logs = -((x[:, None] - points) ** 2).sum(-1) / (2 * sigma**2)
    logs.logsumexp(1).sum().backward()
    return x.grad


enter(
    "score_of_points",
    {
        "point away from the data": lambda x, p, s: -pointed(x, p, s),
        "way to the best answer": lambda x, p, s: pointed(x, p, s, scale=lambda s: 1),
        "divide by the deviation": lambda x, p, s: pointed(x, p, s, scale=lambda s: s),
        "half of the score": lambda x, p, s: pointed(x, p, s, scale=lambda s: 2 * s * s),
        "a place: the score is an arrow": lambda x, p, s: x + s**2 * pointed(x, p, s),
        "count alike": lambda x, p, s: (p.mean(0) - x) / s**2,
        "fall too fast": lambda x, p, s: pointed(x, p, s, lambda d, s: -(d**2) / s**2),
        "are not squared": lambda x, p, s: pointed(x, p, s, lambda d, s: -d / (2 * s**2)),
        "sigma is not squared": lambda x, p, s: pointed(x, p, s, lambda d, s: -(d**2) / (2 * s)),
        "over the noisy points": lambda x, p, s: pointed(x, p, s, over=0),
        "do not add up to 1": lambda x, p, s: (
            torch.exp(-torch.cdist(x, p) ** 2 / (2 * s**2)) @ p - x
        ) / s**2,
        "has shape": lambda x, p, s: pointed(x, p, s).norm(dim=1),
        "with RuntimeError": lambda x, p, s: (x - p) / s**2,
    },
    [lambda x, p, s: pointed(x, p, s)],
)  # fmt: skip


# ------------------------------------------------------------------ machines that dream


def contrasted(W, b, c, v, steps, up=torch.bernoulli, down=torch.bernoulli, start=None, end=None):
    """Contrastive divergence put together from its lines."""
    dream = v if start is None else start(v)
    for _ in range(steps):
        h = up(torch.sigmoid(F.linear(dream, W, c)))
        dream = down(torch.sigmoid(h @ W + b))
    again = torch.sigmoid(F.linear(dream, W, c)) if end is None else h
    return (torch.sigmoid(F.linear(v, W, c)).T @ v - again.T @ dream) / v.shape[0]


def dreamt(W, b, c, v, steps):
    """The dream of a chain that draws units and pixels."""
    for _ in range(steps):
        h = torch.bernoulli(torch.sigmoid(v @ W.T + c))
        v = torch.bernoulli(torch.sigmoid(h @ W + b))
    return v


@wrong("contrastive_divergence", "units of the data: ask")
def asked_once(W, b, c, v, steps):
    up, dream = torch.sigmoid(v @ W.T + c), dreamt(W, b, c, v, steps)
    return up.T @ (v - dream) / len(v)


@wrong("contrastive_divergence", "multiply two differences")
def difference_of_each(W, b, c, v, steps):
    up, dream = torch.sigmoid(v @ W.T + c), dreamt(W, b, c, v, steps)
    return (up - torch.sigmoid(dream @ W.T + c)).T @ (v - dream) / len(v)


@wrong("contrastive_divergence", "begins where the last one ended")
def from_the_data_each_time(W, b, c, v, steps):
    for _ in range(steps):
        made = contrasted(W, b, c, v, 1)
    return made


@wrong("contrastive_divergence", "elsewhere its mean is off")
def one_draw_for_all(W, b, c, v, steps):
    def shared(p):
        return (torch.rand(p.shape[1]) < p).to(p.dtype)

    return contrasted(W, b, c, v, steps, up=shared, down=shared)


@wrong("contrastive_divergence", "changes the W that it is given")
def as_the_chapter_does(W, b, c, v, steps):
    change = contrasted(W, b, c, v, steps)
    W += change
    return change


@wrong("contrastive_divergence", "returns 3 things; one is wanted")
def biases_too(W, b, c, v, steps):
    return contrasted(W, b, c, v, steps), v.mean(0) - b, c


@right("contrastive_divergence")
def all_drawn(W, b, c, v, steps):
    h = torch.bernoulli(torch.sigmoid(v @ W.T + c))
    first, dream = h, v
    for _ in range(steps):
        dream = (torch.rand_like(v) < torch.sigmoid(h @ W + b)).to(v.dtype)
        h = torch.bernoulli(torch.sigmoid(dream @ W.T + c))
    return torch.einsum("nh,nd->hd", first, v) / len(v) - torch.einsum("nh,nd->hd", h, dream) / len(
        v
    )


@right("contrastive_divergence")
def by_the_free_energy(W, b, c, v, steps):
    W = W.clone().requires_grad_()
    with torch.no_grad():
        dream = v
        for _ in range(steps):
            h = torch.bernoulli(torch.sigmoid(dream @ W.T + c))
            dream = torch.bernoulli(torch.sigmoid(h @ W + b))

    def energy(x):
        return -(x @ b) - F.softplus(x @ W.T + c).sum(1)

    (energy(dream).mean() - energy(v).mean()).backward()
    return W.grad


enter(
    "contrastive_divergence",
    {
        "signs are exchanged": lambda *a: -contrasted(*a),
        "positive phase alone": lambda W, b, c, v, k: torch.sigmoid(v @ W.T + c).T @ v / len(v),
        "summed over the images": lambda W, b, c, v, k: contrasted(W, b, c, v, k) * len(v),
        "lies on its side": lambda *a: contrasted(*a).T,
        "a round more": lambda W, b, c, v, k: contrasted(W, b, c, v, k + 1),
        "a round less": lambda W, b, c, v, k: contrasted(W, b, c, v, k - 1),
        "it was drawn from": lambda *a: contrasted(*a, end="h"),
        "pixels of your dream are probabilities": lambda *a: contrasted(*a, down=lambda p: p),
        "from probabilities of hidden units": lambda *a: contrasted(*a, up=lambda p: p),
        "Nothing is drawn": lambda *a: contrasted(*a, up=lambda p: p, down=lambda p: p),
        "are rounded": lambda *a: contrasted(*a, up=torch.round, down=torch.round),
        "is not right yet": lambda *a: contrasted(*a, start=torch.zeros_like),
        "with RuntimeError": lambda W, b, c, v, k: torch.bernoulli(v @ W.T + c).T @ v,
    },
    [lambda *a: contrasted(*a)],
)

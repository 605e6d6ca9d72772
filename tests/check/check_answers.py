"""The catalogue: for each check, wrong answers with a part of their own sentence, and right ones
written another way.

Wrong answers are written as people write them, not as the checks recognise them.
"""

import math
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


@dataclass
class Entry:
    """What is known of one check."""

    wrong: dict = field(default_factory=dict)  # part of the sentence -> answer
    right: list = field(default_factory=list)


CATALOGUE: dict[str, Entry] = {}


def wrong(name, says):
    """Enter the function below as a wrong answer that must be told `says`."""
    return lambda f: CATALOGUE.setdefault(name, Entry()).wrong.update({says: f})


def right(name):
    """Enter the function below as a right answer."""
    return lambda f: CATALOGUE.setdefault(name, Entry()).right.append(f)


def enter(name, wrong_ones, right_ones):
    """Enter answers that fit into a line."""
    entry = CATALOGUE.setdefault(name, Entry())
    entry.wrong.update(wrong_ones)
    entry.right += right_ones


# ------------------------------------------------------------------------------ 01 autoencoder

enter(
    "squared_error",
    {
        "averaged over images and pixels": lambda r, x: F.mse_loss(r, x),
        "averaged over the pixels": lambda r, x: ((r - x) ** 2).view(len(x), -1).mean(-1),
        "summed over the batch too": lambda r, x: ((r - x) ** 2).sum(),
        "averaged over the batch": lambda r, x: F.mse_loss(r, x, reduction="sum") / x.shape[0],
        "absolute error": lambda r, x: torch.abs(x - r).flatten(1).sum(1),
        "not squared": lambda r, x: (r - x).reshape(len(x), -1).sum(1),
        "square the sum": lambda r, x: torch.pow((r - x).flatten(1).sum(1), 2),
        "square root": lambda r, x: ((r - x) ** 2).flatten(1).sum(1).sqrt(),
        "one half": lambda r, x: ((r - x) ** 2).flatten(1).sum(1) / 2,
        "[-1, 1]": lambda r, x: ((r - (2 * x - 1)) ** 2).flatten(1).sum(1),
        "summed over the images": lambda r, x: ((r - x) ** 2).flatten(1).sum(0),
        "sum over everything but the batch": lambda r, x: ((r - x) ** 2).flatten(1) * 1.0,
        "No gradient": lambda r, x: torch.tensor(
            [np.square((a - b).detach().numpy()).sum() for a, b in zip(r, x, strict=True)]
        ),
        "is not right yet": lambda r, x: ((r - x) ** 4).flatten(1).sum(1),
        "with RuntimeError": lambda r, x: ((r - x) ** 2).sum(9).view(1000),
    },
    [
        lambda r, x: F.mse_loss(r, x, reduction="none").flatten(1).sum(1),
        lambda r, x: torch.stack([(a - b).pow(2).sum() for a, b in zip(r, x, strict=True)]),
        lambda r, x: (r - x).flatten(1).norm(dim=1) ** 2,
        lambda r, x: ((r - x) ** 2).sum(dim=(1, 2, 3)),
        lambda r, x: (r**2 - 2 * r * x + x**2).double().sum(tuple(range(1, x.ndim))),
    ],
)


def bce_by_hand(p, x):
    return -(x * torch.log(p) + (1 - x) * torch.log(1 - p))


enter(
    "bce_from_logits",
    {
        "averaged over images and pixels": lambda a, x: F.binary_cross_entropy_with_logits(a, x),
        "averaged over the pixels": lambda a, x: (
            F.binary_cross_entropy_with_logits(a, x, reduction="none").flatten(1).mean(1)
        ),
        "averaged over the batch": lambda a, x: (
            F.binary_cross_entropy_with_logits(a, x, reduction="sum") / len(x)
        ),
        "squeezes twice": lambda a, x: (
            F.binary_cross_entropy_with_logits(torch.sigmoid(a), x, reduction="none")
            .flatten(1)
            .sum(1)
        ),
        "takes the logits for probabilities": lambda a, x: bce_by_hand(a, x).flatten(1).sum(1),
        "rounds to 0 or 1": lambda a, x: bce_by_hand(a.sigmoid(), x).flatten(1).sum(1),
        "black and white exchanged": lambda a, x: (
            (x * a + F.softplus(-a)).flatten(1).sum(1)
            - (x - (1 - x)).mul(0).flatten(1).sum(1)
            + (F.softplus(a) * x + F.softplus(-a) * (1 - x) - x * a - F.softplus(-a))
            .flatten(1)
            .sum(1)
        ),
        "white pixels only": lambda a, x: (x * F.softplus(-a)).flatten(1).sum(1),
        "wrong sign": lambda a, x: (
            (x * F.logsigmoid(a) + (1 - x) * F.logsigmoid(-a)).flatten(1).sum(1)
        ),
        "squared error of the probabilities": lambda a, x: (
            ((a.sigmoid() - x) ** 2).flatten(1).sum(1)
        ),
        "in bits": lambda a, x: (
            F.binary_cross_entropy_with_logits(a, x, reduction="none").flatten(1).sum(1)
            / math.log(2)
        ),
        "summed over the batch too": lambda a, x: F.binary_cross_entropy_with_logits(
            a, x, reduction="sum"
        ),
    },
    [
        lambda a, x: (x * F.softplus(-a) + (1 - x) * F.softplus(a)).flatten(1).sum(1),
        lambda a, x: (F.softplus(a) - a * x).flatten(1).sum(1),
        lambda a, x: (a.clamp(min=0) - a * x + torch.log1p(torch.exp(-a.abs()))).flatten(1).sum(-1),
        lambda a, x: nn.BCEWithLogitsLoss(reduction="none")(a, x).flatten(1).sum(1).double(),
    ],
)

# ------------------------------------------------------------------------------ 02 convolution

enter(
    "conv_output_size",
    {
        "may be a fraction": lambda n, k, s, p: (n - k + 2 * p) / s + 1,
        "round up": lambda n, k, s, p: math.ceil((n - k + 2 * p) / s) + 1,
        "to the nearest": lambda n, k, s, p: round((n - k + 2 * p) / s) + 1,
        "exchange kernel and stride": lambda n, k, s, p: (n - s + 2 * p) // k + 1,
        "one place more than steps": lambda n, k, s, p: (n - k + 2 * p) // s,
        "one side only": lambda n, k, s, p: (n - k + p) // s + 1,
        "leave the padding out": lambda n, k, s, p: (n - k) // s + 1,
        "leave the stride out": lambda n, k, s, p: n + p + p - k + 1,
        "before dividing": lambda n, k, s, p: (n + 2 * p - k + 1) // s,
        "transposed": lambda n, k, s, p: s * (n - 1) + k - 2 * p,
        "a float": lambda n, k, s, p: float((n + 2 * p - k) // s + 1),
        "is not right yet": lambda n, k, s, p: n // s,
    },
    [
        lambda n, k, s, p: math.floor((n + 2 * p - k) / s) + 1,
        lambda n, k, s, p: len(range(0, n + 2 * p - k + 1, s)),
        lambda n, k, s, p: F.conv1d(
            torch.zeros(1, 1, n), torch.zeros(1, 1, k), stride=s, padding=p
        ).shape[-1],
        lambda n, k, s, p: (n + 2 * p - k + s) // s,
    ],
)

# ------------------------------------------------------------------------------ 03 corruption


@wrong("add_gaussian_noise", "changes the x")
def noise_in_place(x, sigma):
    x += sigma * torch.randn_like(x)
    return x


@wrong("add_gaussian_noise", "Two calls give the same noise")
def noise_seeded(x, sigma):
    torch.manual_seed(0)
    return x + sigma * torch.randn(x.shape)


@right("add_gaussian_noise")
def noise_each_pixel(x, sigma):
    noise = torch.empty_like(x)
    noise.normal_()
    return torch.add(x, noise, alpha=sigma)


enter(
    "add_gaussian_noise",
    {
        "deviation 1 whatever": lambda x, s: x + torch.randn_like(x),
        "sigma squared": lambda x, s: x + s**2 * torch.randn_like(x),
        "root of sigma": lambda x, s: x + s**0.5 * torch.randn_like(x),
        "never negative": lambda x, s: x + s * torch.rand_like(x),
        "multiplied by the image": lambda x, s: x * (1 + s * torch.randn_like(x)),
        "cut the noisy pixels": lambda x, s: (x + s * torch.randn_like(x)).clamp(0, 1),
        "All images of the batch": lambda x, s: x + s * torch.randn(x.shape[1:]),
        "same number: draw one for each pixel": lambda x, s: x + s * torch.randn(1),
        "All pixels of an image": lambda x, s: x + s * torch.randn(len(x), 1, 1, 1),
        "is not normal": lambda x, s: x + s * math.sqrt(12) * (torch.rand_like(x) - 0.5),
        "no noise is added": lambda x, s: x.clone(),
    },
    [
        lambda x, s: torch.normal(x, s) if s else x,
        lambda x, s: x + torch.randn(x.shape, device=x.device) * s,
        lambda x, s: x.double() + s * torch.randn(x.shape, dtype=torch.float64),
    ],
)


@wrong("mask_pixels", "changes the x")
def mask_in_place(x, share):
    x[torch.rand_like(x) < share] = 0
    return x


@right("mask_pixels")
def mask_copy(x, share):
    made = x.clone()
    made[torch.rand(x.shape) < share] = 0
    return made


enter(
    "mask_pixels",
    {
        "keep the share": lambda x, s: x * (torch.rand_like(x) < s),
        "brighter, as dropout": lambda x, s: F.dropout(x, s) if s < 1 else x * 0,
        "same pixels are hidden in all images": lambda x, s: x * (torch.rand(x.shape[1:]) >= s),
        "Whole images": lambda x, s: x * (torch.rand(len(x), 1, 1, 1) >= s),
        "Neighbouring": lambda x, s: x * (torch.rand(len(x), 1, 1, x.shape[-1]) >= s),
        "not 0": lambda x, s: torch.where(torch.rand_like(x) < s, 1.0, x),
        "No pixel is hidden": lambda x, s: x + 0,
        "it is to be": lambda x, s: x * (torch.randn_like(x) >= s),
        "must stay as they are": lambda x, s: x * (torch.rand_like(x) >= s) * torch.rand_like(x),
        "with TypeError": lambda x, s: x * (torch.rand(x) >= s),
    },
    [
        lambda x, s: torch.where(torch.rand_like(x) < s, torch.zeros_like(x), x),
        lambda x, s: x.masked_fill(torch.rand_like(x) < s, 0.0),
        lambda x, s: x * torch.bernoulli(torch.full_like(x, 1 - s)),
    ],
)

# ------------------------------------------------------------------------------ 04 variational

enter(
    "gaussian_kl",
    {
        "averaged over the batch and the code": lambda m, v: (
            -0.5 * torch.mean(1 + v - m.pow(2) - v.exp())
        ),
        "averaged over the numbers": lambda m, v: -0.5 * (1 + v - m.pow(2) - v.exp()).mean(dim=1),
        "summed over the batch too": lambda m, v: -0.5 * torch.sum(1 + v - m.pow(2) - v.exp()),
        "then averaged over the batch": lambda m, v: (
            -0.5 * (1 + v - m.pow(2) - v.exp()).sum(1).mean()
        ),
        "standard deviation: it is": lambda m, s: (m**2 + s**2 - 2 * torch.log(s) - 1).sum(1) / 2,
        "variance itself": lambda m, v: -0.5 * (1 + torch.log(v) - m**2 - v).sum(1),
        "logarithm of the standard deviation": lambda m, s: (
            -0.5 * (1 + 2 * s - m**2 - torch.exp(s) ** 2).sum(1)
        ),
        "wrong sign: a divergence": lambda m, v: 0.5 * (1 + v - m.pow(2) - v.exp()).sum(1),
        "factor one half": lambda m, v: -(1 + v - m.pow(2) - v.exp()).sum(1),
        "square belongs": lambda m, v: -0.5 * (1 + v - m - v.exp()).sum(1),
        "lacks the -1": lambda m, v: -0.5 * (v - m.pow(2) - v.exp()).sum(1),
        "narrower q": lambda m, v: -0.5 * (1 - v - m.pow(2) - v.exp()).sum(1),
        "from the prior": lambda m, v: torch.distributions.kl_divergence(
            torch.distributions.Normal(0.0, 1.0),
            torch.distributions.Normal(m, torch.exp(v / 2)),
        ).sum(1),
        "summed over the images": lambda m, v: -0.5 * (1 + v - m.pow(2) - v.exp()).sum(dim=0),
        "No gradient": lambda m, v: (0.5 * (m.data**2 + v.data.exp() - 1 - v.data)).sum(1),
        "has shape (1, 2) for 1 image": lambda m, v: 0.5 * (m**2 + v.exp() - 1 - v),
        "`logvar.exq()`": None,  # below: a crash on a line of its own
    },
    [
        lambda m, v: -0.5 * torch.sum(1 + v - m.pow(2) - v.exp(), dim=1),
        lambda m, v: torch.distributions.kl_divergence(
            torch.distributions.Normal(m, torch.exp(0.5 * v)),
            torch.distributions.Normal(torch.zeros_like(m), torch.ones_like(m)),
        ).sum(-1),
        lambda mean, log_var: torch.stack(
            [
                sum(0.5 * (a * a + b.exp() - b - 1) for a, b in zip(i, j, strict=True))
                for i, j in zip(mean, log_var, strict=True)
            ]
        ),
        lambda m, v: 0.5 * (m.double().square() + torch.expm1(v.double()) - v.double()).sum(1),
    ],
)


def crashing_kl(mu, logvar):
    std = logvar.exq()
    return std


CATALOGUE["gaussian_kl"].wrong.pop("`logvar.exq()`")
CATALOGUE["gaussian_kl"].wrong["`std = logvar.exq()`, with AttributeError"] = crashing_kl


@wrong("reparameterise", "a seed is set inside")
def seeded_draw(mu, logvar):
    torch.manual_seed(1)
    return mu + torch.exp(logvar / 2) * torch.randn_like(mu)


@wrong("reparameterise", "changes the mu")
def draw_in_place(mu, logvar):
    z = mu * 1.0
    z = z + torch.exp(0.5 * logvar) * torch.randn_like(mu)
    mu.data.mul_(0.5)
    return z


@right("reparameterise")
def pytorch_example(mu, logvar):
    std = torch.exp(0.5 * logvar)
    eps = torch.randn_like(std)
    return eps.mul(std).add(mu)


enter(
    "reparameterise",
    {
        "stretched by the variance": lambda m, v: m + v.exp() * torch.randn_like(m),
        "stretched by logvar itself": lambda m, v: m + v * torch.randn_like(m),
        "square root of logvar": lambda m, v: m + v.abs().sqrt() * torch.randn_like(m),
        "not stretched": lambda m, v: m + torch.randn_like(m),
        "divided by the standard deviation": lambda m, v: (
            m + torch.exp(-v / 2) * torch.randn_like(m)
        ),
        "nothing is drawn": lambda m, v: m + 0 * v,
        "not standard normal": lambda m, v: m + torch.exp(v / 2) * torch.rand_like(m),
        "One noise serves the whole batch": lambda m, v: (
            m + torch.exp(v / 2) * torch.randn_like(m[:1] if m.shape[1] > 1 else m)
        ),
        "One noise serves all numbers": lambda m, v: m + torch.exp(v / 2) * torch.randn(len(m), 1),
        "All your codes are the same": lambda m, v: m + torch.exp(v / 2) * torch.randn(1),
        "the noise is added to mu": lambda m, v: torch.exp(v / 2) * torch.randn_like(m),
        "No gradient comes back": lambda m, v: torch.distributions.Normal(
            m, torch.exp(v / 2)
        ).sample(),
        "as if it did not matter": lambda m, v: torch.normal(m, torch.exp(v / 2)),
    },
    [
        lambda m, v: torch.distributions.Normal(m, torch.exp(v / 2)).rsample(),
        lambda m, v: torch.addcmul(m, torch.sqrt(torch.exp(v)), torch.randn(m.shape)),
        lambda m, v: m.double() + v.double().exp().sqrt() * torch.randn_like(m.double()),
    ],
)

enter(
    "iwae_bound",
    {
        "average the logarithms": lambda w: w.mean(1),
        "do not divide by their number": lambda w: torch.logsumexp(w, 1),
        "Yours is the loss": lambda w: -(torch.logsumexp(w, 1) - math.log(w.shape[1])),
        "exp(-800) is 0": lambda w: torch.log(torch.exp(w).mean(1)),
        "Yours is the mean weight": lambda w: torch.exp(w).mean(dim=1),
        "divide the logarithm by K": lambda w: torch.logsumexp(w, dim=1) / w.shape[1],
        "averaged over the batch": lambda w: (w.logsumexp(1) - math.log(w.shape[1])).mean(),
        "largest weight only": lambda w: w.amax(1),
        "over the images": lambda w: torch.logsumexp(w, 0) - math.log(len(w)),
    },
    [
        lambda w: torch.logsumexp(w - math.log(w.size(1)), dim=1),
        lambda w: (
            w.max(1)[0]
            + (w - w.max(1, keepdim=True)[0]).exp().mean(1).log()
        ),
        lambda w: torch.stack([row.logsumexp(0) - np.log(len(row)) for row in w]),
        lambda w: torch.logsumexp(w.double(), -1) - torch.tensor(float(w.shape[-1])).log(),
    ],
)  # fmt: skip

# ------------------------------------------------------------------------------ 05 conditional


@right("one_hot")
def scattered(y, n_classes):
    rows = torch.zeros(len(y), n_classes, device=y.device)
    rows.scatter_(1, y.unsqueeze(1), 1.0)
    return rows


enter(
    "one_hot",
    {
        "a column for each image": lambda y, n: torch.eye(n)[:, y],
        "largest label of the batch": lambda y, n: F.one_hot(y).float(),
        "one place too far": lambda y, n: torch.eye(n)[(y + 1) % n],
        "one place too early": lambda y, n: torch.eye(n)[y - 1],
        "0 and 1 exchanged": lambda y, n: 1 - torch.eye(n)[y],
        "of type int64": lambda y, n: F.one_hot(y, n),
        "as one number": lambda y, n: y.unsqueeze(1) / (n - 1),
        "as they came": lambda y, n: y,
        "counts the batch": lambda y, n: torch.eye(n)[y].sum(0),
        "ones up to the label": lambda y, n: (torch.arange(n) <= y[:, None]).float(),
        "hold the label in its place": lambda y, n: torch.eye(n)[y] * y[:, None],
        "of type bool": lambda y, n: torch.arange(n) == y[:, None],
    },
    [
        lambda y, n: F.one_hot(y, n).float(),
        lambda y, n: (y[:, None] == torch.arange(n, device=y.device)).double(),
        lambda y, n: torch.tensor([[float(k == i) for k in range(n)] for i in y.tolist()]),
    ],
)

# ------------------------------------------------------------------------------ 06 adversarial

bce = F.binary_cross_entropy_with_logits
enter(
    "discriminator_loss",
    {
        "labels are exchanged": lambda r, f: (
            bce(r, torch.zeros_like(r)) + bce(f, torch.ones_like(f))
        ),
        "wrong sign": lambda r, f: r.sigmoid().log().mean() + (1 - f.sigmoid()).log().mean(),
        "half of it": lambda r, f: (bce(r, torch.ones_like(r)) + bce(f, torch.zeros_like(f))) / 2,
        "real images only": lambda r, f: bce(r, torch.ones_like(r)) + 0 * f.mean(),
        "fakes only": lambda r, f: bce(f, torch.zeros_like(f)) + 0 * r.mean(),
        "labels the fakes 1": lambda r, f: bce(r, torch.ones_like(r)) + bce(f, torch.ones_like(f)),
        "summed over the batch": lambda r, f: F.softplus(-r).sum() + F.softplus(f).sum(),
        "doubles their mean": lambda r, f: (
            2 * bce(torch.cat([r, f]), torch.cat([torch.ones_like(r), torch.zeros_like(f)]))
        ),
        "pools real and fake before": lambda r, f: (
            bce(torch.cat([r, f]), torch.cat([torch.ones_like(r), torch.zeros_like(f)])) * 1.0
        ),
        "squeezes twice": lambda r, f: (
            bce(r.sigmoid(), torch.ones_like(r)) + bce(f.sigmoid(), torch.zeros_like(f))
        ),
        "hinge loss": lambda r, f: torch.relu(1 - r).mean() + torch.relu(1 + f).mean(),
        "Wasserstein": lambda r, f: -(r.mean() - f.mean()),
        "rounds to 0 or 1": lambda r, f: -r.sigmoid().log().mean() - (1 - f.sigmoid()).log().mean(),
        "No gradient comes back from your loss to real_logits": lambda r, f: (
            F.softplus(-r.detach()).mean() + F.softplus(f).mean()
        ),
    },
    [
        lambda r, f: bce(r, torch.ones_like(r)) + bce(f, torch.zeros_like(f)),
        lambda r, f: -F.logsigmoid(r).mean() - F.logsigmoid(-f).mean(),
        lambda r, f: F.softplus(-r).sum() / r.numel() + (f + F.softplus(-f)).mean(),
        lambda r, f: (nn.Softplus()(-r).mean() + nn.Softplus()(f).mean()).double(),
    ],
)

enter(
    "generator_loss",
    {
        "labels the fakes 0": lambda f: bce(f, torch.zeros_like(f)),
        "saturating": lambda f: -bce(f, torch.zeros_like(f)),
        "wrong sign": lambda f: F.logsigmoid(f).mean(),
        "summed over the batch": lambda f: F.softplus(-f).sum(),
        "a number for each fake": lambda f: F.softplus(-f),
        "minus the mean logit": lambda f: -f.mean(),
        "squeezes twice": lambda f: bce(f.sigmoid(), torch.ones_like(f)),
        "probability of being found out": lambda f: (1 - f.sigmoid()).mean(),
        "rounds to 0 or 1": lambda f: -f.sigmoid().log().mean(),
        "No gradient": lambda f: F.softplus(-f.detach()).mean(),
    },
    [
        lambda f: bce(f, torch.ones_like(f)),
        lambda f: -F.logsigmoid(f).mean(),
        lambda f: torch.logaddexp(torch.zeros_like(f), -f).mean(),
    ],
)

# ------------------------------------------------------------------------------ 07 classifier

enter(
    "softmax_cross_entropy",
    {
        "averaged over the batch": lambda a, y: F.cross_entropy(a, y),
        "summed over the batch": lambda a, y: nn.CrossEntropyLoss(reduction="sum")(a, y),
        "softmax twice": lambda a, y: F.cross_entropy(a.softmax(-1), y, reduction="none"),
        "wrong sign": lambda a, y: F.nll_loss(-F.log_softmax(a, 1), y, reduction="none"),
        "minus the probability": lambda a, y: F.nll_loss(F.softmax(a, 1), y, reduction="none"),
        "minus the logit": lambda a, y: F.nll_loss(a, y, reduction="none"),
        "over the images": lambda a, y: F.nll_loss(a.log_softmax(0), y, reduction="none"),
        "sum over all classes": lambda a, y: -torch.log(a.softmax(1)).sum(1),
        "likes best": lambda a, y: F.cross_entropy(a, a.argmax(1), reduction="none"),
        "in bits": lambda a, y: -torch.log2(a.softmax(1)).gather(1, y.view(-1, 1)).view(-1),
        "exponential is infinite": lambda a, y: (
            -torch.log(a.exp() / a.exp().sum(1, keepdim=True)).gather(1, y[:, None]).squeeze(1)
        ),
        "average over all classes": lambda a, y: -F.log_softmax(a, 1).mean(1),
    },
    [
        lambda a, y: F.cross_entropy(a, y, reduction="none"),
        lambda a, y: -(F.log_softmax(a, 1) * F.one_hot(y, a.shape[1])).sum(1),
        lambda a, y: torch.log((a - a.gather(1, y[:, None])).exp().sum(1)).clamp(max=500.0),
        lambda a, y: torch.stack(
            [row.logsumexp(0) - row[i] for row, i in zip(a.double(), y, strict=True)]
        ),
    ],
)
CATALOGUE["softmax_cross_entropy"].right.pop(2)  # overflows at 500; the others need no clamp

enter(
    "xavier_bound",
    {
        "is the standard deviation": lambda i, o: (2 / (i + o)) ** 0.5,
        "root is missing": lambda i, o: 6 / (i + o),
        "He's bound": lambda i, o: math.sqrt(6 / i),
        "outputs only": lambda i, o: math.sqrt(6 / o),
        "left alone": lambda i, o: i**-0.5,
        "too large": lambda i, o: math.sqrt(6) / math.sqrt((i + o) / 2),
        "covers the 6 alone": lambda i, o: math.sqrt(6) / (i + o),
        "they are added": lambda i, o: math.sqrt(6 / i / o),
    },
    [
        lambda i, o: (6 / (i + o)) ** 0.5,
        lambda i, o: torch.tensor(6 / (i + o)).sqrt(),
        lambda i, o: math.sqrt(3) * math.sqrt(2 / (i + o)),
        lambda i, o: np.sqrt(6.0 / np.add(i, o)),
    ],
)


@wrong("dropout", "left on outside of training")
def always_on(x, p, training):
    return F.dropout(x, p)


@wrong("dropout", "must stay as it is")
def scaled_in_use(x, p, training):
    return F.dropout(x, p) if training else x * (1 - p)


@wrong("dropout", "changes the x")
def drop_in_place(x, p, training):
    if training:
        x[torch.rand_like(x) < p] = 0
        x /= 1 - p
    return x


enter(
    "dropout",
    {
        "probability to keep": lambda x, p, t: x * (torch.rand_like(x) < p) / p if t else x,
        "is not made larger": lambda x, p, t: x * (torch.rand_like(x) >= p) if t else x,
        "multiplied by 1 - p": lambda x, p, t: x * (torch.rand_like(x) >= p) * (1 - p) if t else x,
        "divided by p": lambda x, p, t: x * (torch.rand_like(x) >= p) / max(p, 1e-9) if t else x,
        "same units are dropped in all": lambda x, p, t: (
            x * (torch.rand(x.shape[-1]) >= p) / (1 - p) if t else x
        ),
        "Whole images": lambda x, p, t: x * (torch.rand(len(x), 1) >= p) / (1 - p) if t else x,
        "nothing is dropped": lambda x, p, t: x,
        "it is to be": lambda x, p, t: x * (torch.randn_like(x) >= p) / (1 - p) if t else x,
    },
    [
        lambda x, p, t: F.dropout(x, p, t),
        lambda x, p, t: nn.Dropout(p).train(t)(x),
        lambda x, p, t: torch.where(torch.rand_like(x) < p, 0.0, x / (1 - p)) if t else x,
        lambda x, p, t: x * torch.bernoulli(torch.full_like(x, 1 - p)) / (1 - p) if t else 1 * x,
    ],
)

# ------------------------------------------------------------------------------ scoring


def moments(x):
    x = x.double()
    return x.mean(0), torch.atleast_2d(torch.cov(x.T))


def root_of(matrix):
    """The root of a symmetric matrix."""
    values, vectors = torch.linalg.eigh(matrix)
    return vectors @ values.clamp(min=0).sqrt().diag() @ vectors.T


def fd(a, b, means=lambda d: d @ d, root=2.0):
    (ma, ca), (mb, cb) = moments(a), moments(b)
    half = root_of(ca)
    return means(ma - mb) + torch.trace(ca + cb - root * root_of(half @ cb @ half))


def with_scipy(a, b):
    from scipy.linalg import sqrtm

    a, b = a.double().numpy(), b.double().numpy()
    ca, cb = np.atleast_2d(np.cov(a.T)), np.atleast_2d(np.cov(b.T))
    d = a.mean(0) - b.mean(0)
    return float(d @ d + np.trace(ca + cb - 2 * np.real(sqrtm(ca @ cb))))


def complex_fd(a, b):
    (ma, ca), (mb, cb) = moments(a), moments(b)
    roots = torch.linalg.eigvals(ca @ cb).sqrt().sum()
    return (ma - mb) @ (ma - mb) + ca.trace() + cb.trace() - 2 * roots


enter(
    "frechet_distance",
    {
        "root of it": lambda a, b: fd(a, b).clamp(min=0).sqrt(),
        "means only": lambda a, b: (a.mean(0) - b.mean(0)).pow(2).sum(),
        "means are missing": lambda a, b: fd(a, b, means=lambda d: 0),
        "is not squared": lambda a, b: fd(a, b, means=torch.linalg.norm),
        "factor 2": lambda a, b: fd(a, b, root=1.0),
        "number by number": lambda a, b: (
            (moments(a)[0] - moments(b)[0]).square().sum()
            + (moments(a)[1] - moments(b)[1]).square().sum()
        ),
        "variances of single features": lambda a, b: (
            (a.double().mean(0) - b.double().mean(0)).square().sum()
            + (a.double().std(0) - b.double().std(0)).square().sum()
        ),
        "root of each number": lambda a, b: (
            (moments(a)[0] - moments(b)[0]).square().sum()
            + torch.trace(moments(a)[1] + moments(b)[1])
            - 2 * torch.trace((moments(a)[1] @ moments(b)[1]).clamp(min=0).sqrt())
        ),
        "a complex number": complex_fd,
    },
    [
        fd,
        with_scipy,
        lambda a, b: fd(b, a),
    ],
)

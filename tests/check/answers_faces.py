"""Answers to the exercises on conditional faces; see check_answers."""

import torch
import torch.nn.functional as F
from check_answers import enter, wrong
from sklearn.metrics import balanced_accuracy_score
from sklearn.metrics.pairwise import rbf_kernel
from torch import nn

# ------------------------------------------------------------------------------- label planes


def planes(y, n, x):
    return F.one_hot(y, n).to(x)[..., None, None].repeat(1, 1, x.shape[2], x.shape[3])


def painted(x, y, n_classes):
    made = torch.cat([x, x.new_zeros(len(x), n_classes, *x.shape[2:])], dim=1)
    made[torch.arange(len(x)), x.shape[1] + y] = 1.0
    return made


enter(
    "label_planes",
    {
        "planes in front of the image": lambda x, y, n: torch.hstack([planes(y, n, x), x]),
        "hold the label as a number": lambda x, y, n: torch.hstack(
            [x, (planes(y, n, x) * 0 + y[:, None, None, None])]
        ),
        "one plane with the label": lambda x, y, n: torch.hstack(
            [x, y.to(x)[:, None, None, None] * torch.ones_like(x[:, :1])]
        ),
        "largest label of the batch": lambda x, y, n: torch.hstack(
            [x, planes(y, len(y.bincount()), x)]
        ),
        "0 and 1 are exchanged": lambda x, y, n: torch.hstack([x, (planes(y, n, x) == 0).to(x)]),
        "the image is missing": lambda x, y, n: planes(y, n, x),
        "You add the planes": lambda x, y, n: x + 1,
        "has shape": lambda x, y, n: torch.cat([x.flatten(1), F.one_hot(y, n)], dim=1),
        "with RuntimeError": lambda x, y, n: torch.cat([x, F.one_hot(y, n)], dim=1),
    },
    [
        lambda x, y, n: torch.hstack([x, planes(y, n, x)]),
        painted,
        lambda x, y, n: torch.stack(
            [torch.cat([a, F.one_hot(b, n).to(a).view(n, 1, 1).expand(n, *a.shape[1:])])
             for a, b in zip(x, y, strict=True)]
        ),
    ],
)  # fmt: skip

# ------------------------------------------------------------------------------ a reader's worth

enter(
    "balanced_accuracy",
    {
        "share of all faces": lambda s, t: (s == t).float().mean(),
        "with glasses alone": lambda s, t: (s & t).sum() / t.sum(),
        "without glasses alone": lambda s, t: (~s & ~t).sum() / (~t).sum(),
        "the sum of both": lambda s, t: (s & t).sum() / t.sum() + (~s & ~t).sum() / (~t).sum(),
        "in percent": lambda s, t: 50 * ((s & t).sum() / t.sum() + (~s & ~t).sum() / (~t).sum()),
        "as if chance had been taken off": lambda s, t: (s & t).sum() / t.sum()
        - (s & ~t).sum() / (~t).sum(),
        "the two shares": lambda s, t: torch.stack(
            [s[t].double().mean(), 1 - s[~t].double().mean()]
        ),
        "Your number is not right yet": lambda s, t: s.double().mean(),
    },
    [
        lambda s, t: ((s & t).sum() / t.sum() + (~s & ~t).sum() / (~t).sum()) / 2,
        lambda s, t: balanced_accuracy_score(t.numpy(), s.numpy()),
        lambda s, t: 0.5 + (s[t].double().mean() - s[~t].double().mean()) / 2,
    ],
)  # fmt: skip

# ------------------------------------------------------------------------ what a code gives away


def gaussian(u, v, width=None):
    width = width or 2 * u.shape[1]
    return torch.exp(-((u[:, None] - v[None]) ** 2).sum(-1) / width)


def mmd(a, b, own=True, twice=2.0, width=None):
    parts = []
    for u in (a, b):
        k, n = gaussian(u, u, width), len(u)
        parts.append(k.mean() if not own else (k.sum() - k.trace()) / (n * n - n))
    return parts[0] + parts[1] - twice * gaussian(a, b, width).mean()


def mmd_of_numpy(a, b):
    return float(mmd(a.detach(), b.detach()))


def mmd_by_masks(a, b):
    z, n = torch.cat([a, b]), len(a)
    k = gaussian(z, z) * (1 - torch.eye(len(z)))
    inside = k[:n, :n].sum() / (n * (n - 1)) + k[n:, n:].sum() / (len(b) * (len(b) - 1))
    return inside - 2 * k[:n, n:].mean()


enter(
    "codes_apart",
    {
        "each code meets itself": lambda a, b: mmd(a, b, own=False),
        "count once": lambda a, b: mmd(a, b, twice=1.0),
        "wrong sign": lambda a, b: -mmd(a, b),
        "forgets Z": lambda a, b: mmd(a, b, width=2),
        "lacks a factor 2": lambda a, b: mmd(a, b, width=a.shape[1]),
        "the root of it": lambda a, b: mmd(a, b).clamp(min=0) ** 0.5,
        "cut off at 0": lambda a, b: torch.relu(mmd(a, b)),
        "compares the means alone": lambda a, b: ((a.mean(0) - b.mean(0)) ** 2).sum(),
        "No gradient comes back": mmd_of_numpy,
        "has shape": gaussian,
    },
    [
        mmd,
        mmd_by_masks,
        lambda a, b: mmd(a, b) if a.requires_grad else torch.tensor(
            mmd_sklearn(a.numpy(), b.numpy())),
    ],
)  # fmt: skip


def mmd_sklearn(a, b):
    gamma = 1 / (2 * a.shape[1])
    own = [rbf_kernel(u, u, gamma) for u in (a, b)]
    within = [(k.sum() - k.trace()) / (len(k) * (len(k) - 1)) for k in own]
    return sum(within) - 2 * rbf_kernel(a, b, gamma).mean()


# --------------------------------------------------------------------------------- a direction


def perpendicular(a, k):
    return a - k * torch.dot(a, k) / torch.dot(k, k)


def set_along(z, d, t):
    return z - torch.outer(z @ d, d) / (d @ d) + t * d / d.norm()


enter(
    "steered",
    {
        "along the direction itself": lambda z, a, k, t: set_along(z, a, t),
        "Yours adds t to what": lambda z, a, k, t: z + t * F.normalize(perpendicular(a, k), dim=0),
        "adds t along the direction as it is": lambda z, a, k, t: z + t * F.normalize(a, dim=0),
        "shorter than 1": lambda z, a, k, t: z + torch.outer(
            t - z @ perpendicular(F.normalize(a, dim=0) * a.norm(), k), perpendicular(a, k)),
        "directions exchanged": lambda z, a, k, t: set_along(z, perpendicular(k, a), t),
        "for a vector of length 1": lambda z, a, k, t: set_along(z, a - (a @ k) * k, t),
        "leaves nothing of the codes": lambda z, a, k, t: 0 * z
        + t * F.normalize(perpendicular(a, k), dim=0),
    },
    [
        lambda z, a, k, t: set_along(z, perpendicular(a, k), t),
        lambda z, a, k, t: set_along(z, torch.linalg.qr(torch.stack([k, a], 1)).Q[:, 1]
                                     * torch.linalg.qr(torch.stack([k, a], 1)).R[1, 1].sign(), t),
        lambda z, a, k, t: torch.stack(
            [v - (v @ d - t) * d for d in [F.normalize(perpendicular(a, k), dim=0)] for v in z]),
    ],
)  # fmt: skip


@wrong("steered", "changes the z")
def steered_in_place(z, along, keep, t):
    d = F.normalize(perpendicular(along, keep), dim=0)
    z += (t - z @ d)[:, None] * d
    return z


# ------------------------------------------------------------------------- one face, four labels


def swap(own=True, mean=True, dim=1, classes=range(4)):
    """A function that repairs what it is told to."""

    def made(encode, decode, x, y):
        rows = []
        for k in classes:
            new = torch.full((len(y),), k)
            mu, logvar = encode(x, y if own else new)
            z = mu if mean else mu + torch.randn(mu.shape) * torch.exp(logvar / 2)
            rows.append(decode(z, new))
        return torch.stack(rows, dim)

    return made


def swap_at_once(encode, decode, x, y):
    z = encode(x, y)[0]
    made = decode(z.repeat_interleave(4, 0), torch.arange(4).repeat(len(z)))
    return made.unflatten(0, (-1, 4))


def swap_one_by_one(encode, decode, x, y):
    return torch.stack(
        [decode(encode(a[None], b[None])[0].expand(4, -1), torch.arange(4))
         for a, b in zip(x, y, strict=True)]
    )  # fmt: skip


enter(
    "repaired_swap",
    {
        "All three are there still": swap(own=False, mean=False, dim=0),
        "One fault is left: the encoder": swap(own=False),
        "One fault is left: noise": swap(mean=False),
        "One fault is left: the labels run down": swap(dim=0),
        "Two faults are left: the encoder is told the new label, and reads the image as if it were "
        "so: it is told what the image has; and noise": swap(own=False, mean=False),
        "it is told what the image has; and the labels": swap(own=False, dim=0),
        "Two faults are left: noise": swap(mean=False, dim=0),
        "in this order": swap(classes=(3, 2, 1, 0)),
        "Yours has shape (3, 3)": lambda encode, decode, x, y: decode(encode(x, y)[0], y),
        "mix the images": lambda encode, decode, x, y: decode(
            encode(x, y)[0].repeat(4, 1), torch.arange(4).repeat(3)
        ).unflatten(0, (3, 4)),
    },
    [swap(), swap_at_once, swap_one_by_one],
)

# --------------------------------------------------------------------------------- a silent code


def discrepancy(z, y):
    k = torch.exp(-(torch.cdist(z, z) ** 2) / 2 / z.shape[1]) * (1 - torch.eye(len(z)))
    of = F.one_hot(y, 4).float()
    n = of.sum(0)
    sums = of.T @ k @ of
    own = sums.diagonal() / (n * (n - 1)).clamp(min=1)
    return (own[:, None] + own - 2 * sums / (n[:, None] * n).clamp(min=1)).triu(1).sum() / 6


def vae(x, y, z_dim=8, weight=1000.0, variance=0.01, passes=15, act=nn.ReLU, told=True, beta=1.0):
    """A small VAE that is told hairstyles, and pays for what its code says of them."""
    torch.manual_seed(4)
    enc = nn.Sequential(nn.Linear(768 + 4, 256), act(), nn.Linear(256, 2 * z_dim))
    dec = nn.Sequential(nn.Linear(z_dim + 4, 256), act(), nn.Linear(256, 768), nn.Sigmoid())
    opt = torch.optim.Adam([*enc.parameters(), *dec.parameters()], 2e-3)
    names = torch.eye(4)
    on = 1.0 if told else 0.0

    def encode(x, y):
        return enc(torch.hstack([x.flatten(1), names[y]])).chunk(2, 1)[0]

    def decode(z, y):
        return dec(torch.hstack([z, on * names[y]])).view(-1, 3, 16, 16)

    for _ in range(passes):
        for i in torch.randperm(len(x)).split(60):
            mu, logvar = enc(torch.hstack([x[i].flatten(1), names[y[i]]])).chunk(2, 1)
            z = torch.distributions.Normal(mu, (logvar / 2).exp()).rsample()
            error = F.mse_loss(decode(z, y[i]), x[i], reduction="sum") / 2 / variance
            kl = 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum()
            opt.zero_grad()
            ((error + beta * kl) / len(i) + weight * discrepancy(z, y[i])).backward()
            opt.step()
    return encode, decode


enter(
    "quiet_code",
    {
        "the code repeats the label": lambda x, y: vae(x, y, weight=0.0),
        "is silent, too, and no use": lambda x, y: (
            lambda a, b: torch.zeros(len(a), 8), lambda z, b: x.mean(0).expand(len(z), -1, -1, -1)
        ),
        "Is the decoder told": lambda x, y: vae(x, y, told=False, z_dim=16, weight=0.0),
        "two functions": lambda x, y: vae(x, y, passes=1)[0],
        "returns the mean": lambda x, y: (
            lambda a, b: (a.flatten(1), a.flatten(1)), lambda z, b: z.view(-1, 3, 16, 16)
        ),
        "decode gives (300, 768)": lambda x, y: (
            lambda a, b: a.flatten(1), lambda z, b: z
        ),
        "not finite": lambda x, y: (
            lambda a, b: a.flatten(1) / 0, lambda z, b: z.view(-1, 3, 16, 16)
        ),
    },
    [
        vae,
        lambda x, y: vae(x, y, act=nn.GELU),
        lambda x, y: vae(x, y, weight=2000.0, passes=20),
    ],
)  # fmt: skip

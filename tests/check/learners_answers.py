"""More of the catalogue: wrong answers that were typed while working through the exercises.

Each of them was called right, or was told something that did not help, when it was first typed.
"""

import math
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from check_answers import enter, wrong
from torch import nn

from course_utils import check

enter(
    "squared_error",
    {
        "first channel only": lambda r, x: (r - x)[:, 0].square().sum((1, 2)),
        "shape (2, 3) for 2 images": lambda r, x: (r - x).square().sum((2, 3)).squeeze(1),
        "changes the x": lambda r, x: x.sub_(r).square().flatten(1).sum(1),
        "a tensor or a number is wanted": lambda r, x: {"error": (r - x).square().sum()},
    },
    [lambda r, x: torch.einsum("b...,b...->b", r - x, r - x)],
)
enter(
    "bce_from_logits",
    {
        "first channel only": lambda a, x: F.binary_cross_entropy_with_logits(
            a, x, reduction="none"
        )[:, 0].sum((1, 2)),
        "black or white first": lambda a, x: (
            F.binary_cross_entropy_with_logits(a, x.round(), reduction="none").flatten(1).sum(1)
        ),
        "are exchanged in yours": lambda a, x: (
            F.binary_cross_entropy_with_logits(x, a, reduction="none").flatten(1).sum(1)
        ),
    },
    [],
)


@wrong("best_epoch", "rises for the first time")
def _(history):
    best = history[0]
    for row in history[1:]:
        if row["val_sse"] > best["val_sse"]:
            break
        best = row
    return best["epoch"]


def sorted_in_place(history):
    history.sort(key=lambda row: row["val_sse"])
    return history[0]["epoch"]


enter(
    "best_epoch",
    {
        "You count the rows": lambda history: (
            1 + min(range(len(history)), key=lambda i: history[i]["val_sse"])
        ),
        "changes the history": sorted_in_place,
    },
    [lambda history: sorted(history, key=lambda row: row["val_sse"])[0]["epoch"]],
)


@wrong("repaired_step", "and the steps are others")
def _(model, optimizer, x):
    loss = F.mse_loss(model(x), x)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item() * x[0].numel()


class PastTheCode(nn.Module):
    """An autoencoder whose decoder is handed the image beside the code."""

    def encode(self, x):
        self.skip = x
        return x.flatten(1)[:, :3]

    def decode(self, z):
        return self.skip


enter("beats_pca", {"knows more than the code": lambda x: PastTheCode()}, [])
enter(
    "without_blocks",
    {
        "Your model has 25,": lambda x: SimpleNamespace(
            encode=nn.Sequential(nn.Flatten(), nn.Linear(784, 16)),
            decode=nn.Sequential(nn.Linear(16, 784), nn.Unflatten(1, (1, 28, 28))),
        )
    },
    [],
)
enter(
    "reparameterise",
    {
        "yours is -0.8": lambda m, v: m * (1 + (v / 2).exp() * torch.randn_like(m)),
        "yours is -1.4": lambda m, v: m**2 + (v / 2).exp() * torch.randn_like(m),
        "yours is -1 ": lambda m, v: m.abs() + (v / 2).exp() * torch.randn_like(m),
    },
    [],
)
enter(
    "iwae_bound",
    {
        "log_weights = [[-900, -100]]": lambda w: (
            w.mean(1) + (w - w.mean(1, keepdim=True)).exp().mean(1).log()
        )
    },
    [],
)
enter(
    "beta_sweep",
    {
        "does it come second": lambda x, beta: check.beta_sweep.reference(x, beta)[::-1],
    },
    [],
)
enter("told", {"to z": lambda z, y, n: torch.cat([z.detach(), F.one_hot(y, n).float()], 1)}, [])
enter(
    "dropout",
    {
        "to x, so nothing": lambda x, p, training: (
            x.detach() * (torch.rand_like(x) >= p) / (1 - p) if training else x
        )
    },
    [],
)


def scored(model, x, y, n=None):
    was_training = model.training
    model.eval()
    with torch.no_grad():
        hits = (model(x).argmax(1) == y).sum()
    model.train(was_training)
    return (hits / (n or len(y))).item()


enter(
    "repaired_accuracy",
    {
        "of 80 others": lambda model, x, y: scored(model, x, y, n=600),
        "off now, and yours is 0 ": lambda model, x, y: int(scored(model, x, y)),
    },
    [],
)
enter(
    "add_gaussian_noise",
    {"same noise: draw a number": lambda x, sigma: x + sigma * torch.randn_like(x[:, :1])},
    [],
)
enter(
    "standardise",
    {
        "its number [0, 0] is": lambda x, train: (
            (x - torch.cat([x, train]).mean(0)) / torch.cat([x, train]).std(0)
        )
    },
    [],
)


@wrong("repaired_denoising", "compared with the noise")
def _(model, x, sigma):
    noise = sigma * torch.randn_like(x)
    return (model(x + noise) - noise).square().sum() / len(x)


@wrong("repaired_precision", "0 twice, 1 and 5")
def _(real, fake, k):
    distances = torch.cdist(real, real)
    distances[distances == 0] = math.inf
    radius = distances.kthvalue(k).values
    return (torch.cdist(fake, real) < radius).any(1).float().mean()


enter(
    "coherence",
    {"it gives 0, not 0.6": lambda atoms: F.cosine_similarity(atoms[:1], atoms[1:]).abs().max()},
    [],
)


def probed(z, y, z_test, y_test, scale_of, learn_from):
    mean, deviation = scale_of.mean(0), scale_of.std(0)
    z, z_test = (z - mean) / deviation, (z_test - mean) / deviation
    learnt, targets = (z_test, y_test) if learn_from == "test" else (z, y)
    weights = torch.linalg.lstsq(learnt, F.one_hot(targets, 2).float() - 0.5).solution
    return ((z_test @ weights).argmax(1) == y_test).float().mean()


enter(
    "repaired_probe",
    {
        "from training and test images together": lambda z, y, z_test, y_test: probed(
            z, y, z_test, y_test, torch.cat([z, z_test]), "train"
        ),
        "With the test labels exchanged": lambda z, y, z_test, y_test: probed(
            z, y, z_test, y_test, z, "test"
        ),
    },
    [],
)


def distance(a, b, covariance):
    a, b = a.double(), b.double()
    ca, cb = covariance(a), covariance(b)
    roots = torch.linalg.eigvals(ca @ cb).real.clamp(min=0).sqrt().sum()
    return (a.mean(0) - b.mean(0)).square().sum() + ca.trace() + cb.trace() - 2 * roots


enter(
    "frechet_distance",
    {
        "divided by N": lambda a, b: distance(
            a, b, lambda x: (x - x.mean(0)).T @ (x - x.mean(0)) / len(x)
        ),
        "still have the means": lambda a, b: distance(a, b, lambda x: x.T @ x / len(x)),
    },
    [],
)


def marks_all(y, n):
    made = torch.zeros(len(y), n)
    made[:, y] = 1
    return made


enter("one_hot", {"a 1 for every label of the batch": marks_all}, [])


def sheet(decode, z, codes, labels, rows):
    images = decode(codes, labels)
    return images.unflatten(0, (10, len(z)) if rows == "ten" else (len(z), 10))


DIGITS = torch.arange(10)

enter(
    "repaired_sheet",
    {
        "cut into the wrong rows": lambda decode, z: sheet(
            decode, z, z.repeat(10, 1), DIGITS.repeat_interleave(len(z)), "codes"
        ),
        "in order, and the sheet is cut into ten rows": lambda decode, z: sheet(
            decode, z, z.repeat_interleave(10, dim=0), DIGITS.repeat(len(z)), "ten"
        ),
        "and it is cut into ten rows": lambda decode, z: sheet(
            decode, z, z.repeat(10, 1), DIGITS.repeat(len(z)), "ten"
        ),
    },
    [
        lambda decode, z: sheet(
            decode, z, z.repeat(10, 1), DIGITS.repeat_interleave(len(z)), "ten"
        ).transpose(0, 1)
    ],
)


def seen_above(threshold, scores=lambda logits: logits):
    def answer(logits, asked):
        rows = zip(scores(logits), asked, strict=True)
        return sum(bool(row[y] > threshold) for row, y in rows) / len(asked)

    return answer


enter(
    "obedience",
    {
        "above some threshold": seen_above(0.5),
        "be it small": seen_above(0.5, lambda logits: logits.softmax(1)),
    },
    [],
)


def stacked(x, made):
    return torch.cat([x, made], dim=1)


def planes_of_all(x, y, n):
    made = torch.zeros(len(x), n, *x.shape[2:])
    made[:, y] = 1
    return stacked(x, made)


enter(
    "label_planes",
    {"planes of all labels of the batch": planes_of_all},
    [
        lambda x, y, n: stacked(
            x,
            torch.eye(n)[y]
            .repeat_interleave(x.shape[2] * x.shape[3])
            .view(len(x), n, *x.shape[2:]),
        )
    ],
)


def of_yes_and_no(yes, no):
    return (yes + no) / 2


enter(
    "balanced_accuracy",
    {
        "how often the reader says": lambda s, t: of_yes_and_no(
            (s & t).sum() / s.sum(), (~s & ~t).sum() / (~s).sum()
        ),
        "by the number of all faces": lambda s, t: of_yes_and_no(
            (s & t).sum() / len(s), (~s & ~t).sum() / len(s)
        ),
        "noes read *wrong*": lambda s, t: of_yes_and_no(s[t].float().mean(), s[~t].float().mean()),
        "the geometric mean": lambda s, t: (
            (s[t].float().mean() * (1 - s[~t].float().mean())) ** 0.5
        ),
        "the F1 score": lambda s, t: 2 * (s & t).sum() / (s.sum() + t.sum()),
    },
    [],
)


def nearness(u, v, brackets=True):
    squares = torch.cdist(u, v) ** 2
    return (-(squares / (2 * u.shape[1]) if brackets else squares / 2 * u.shape[1])).exp()


def off(table, pairs=lambda n: n * (n - 1)):
    return (table.sum() - table.trace()) / pairs(len(table))


enter(
    "codes_apart",
    {
        "2 Z into brackets": lambda a, b: (
            off(nearness(a, a, False))
            + off(nearness(b, b, False))
            - 2 * nearness(a, b, False).mean()
        ),
        "divide by n * n": lambda a, b: (
            off(nearness(a, a), lambda n: n * n)
            + off(nearness(b, b), lambda n: n * n)
            - 2 * nearness(a, b).mean()
        ),
        "where no code meets itself": lambda a, b: (
            off(nearness(a, a)) + off(nearness(b, b)) - off(nearness(a, b)) * 2
        ),
        "Yours is half of it": lambda a, b: (
            (off(nearness(a, a)) + off(nearness(b, b))) / 2 - nearness(a, b).mean()
        ),
    },
    [],
)


def noise_once(encode, decode, x, y):
    mu, logvar = encode(x, y)
    z = mu + (logvar / 2).exp() * torch.randn_like(mu)
    return torch.stack([decode(z, torch.full_like(y, k)) for k in range(4)], dim=1)


enter(
    "repaired_swap",
    {
        "noise is drawn for each image": noise_once,
        "not a tuple; encode": lambda encode, decode, x, y: decode(encode(x, y), y),
        "not a single int": lambda encode, decode, x, y: torch.stack(
            [decode(encode(x, y)[0], k) for k in range(4)], dim=1
        ),
    },
    [],
)


def free(along, keep, first=lambda v: v):
    keep = keep / keep.norm()
    along = first(along)
    return along - (along @ keep) * keep


def toward(z, d, t):
    return z + (t - z @ d)[:, None] * d / (d @ d)


enter(
    "steered",
    {
        "Yours adds t times the direction": lambda z, along, keep, t: z + t * along,
        "leaves 0 there": lambda z, along, keep, t: toward(z, free(along, keep), 0.0),
        "not of length 1 in yours": lambda z, along, keep, t: toward(z, free(along, keep), t),
        "the projection has shortened": lambda z, along, keep, t: toward(
            z, free(along, keep, lambda v: v / v.norm()), t
        ),
    },
    [],
)

"""More of the catalogue: exercises that are graded, beside `receptive_field` of chapter 02."""

import math

import torch
from check_answers import enter, right, wrong
from torch.distributions import Normal, kl_divergence

# ------------------------------------------------------------------- the density of all codes


LOG_2_PI = math.log(2 * math.pi)


def log_normals(z, mu, logvar, half=0.5, height=1.0, constant=LOG_2_PI):
    """Log-densities of each number of each code for each image, with slips."""
    squares = (z[:, None, :] - mu[None]) ** 2 * torch.exp(-logvar)
    return -half * squares - 0.5 * (height * logvar + constant)


def log_mean(logs, dim=1):
    return torch.logsumexp(logs, dim) - math.log(logs.shape[dim])


def of_each(z, mu, logvar, **slips):
    return log_normals(z, mu, logvar, **slips).sum(-1)


@right("log_aggregate")
def one_code_at_a_time(z, mu, logvar):
    rows = []
    for code in z:
        images = Normal(mu, logvar.mul(0.5).exp()).log_prob(code).sum(1)
        rows.append(images.logsumexp(0) - math.log(mu.size(0)))
    return torch.stack(rows)


@right("log_aggregate")
def shifted_by_hand(z, mu, logvar):
    logs = of_each(z, mu, logvar)
    top = logs.max(1, keepdim=True).values
    return (top + (logs - top).exp().mean(1, keepdim=True).log()).squeeze(1)


@right("log_aggregate")
def weights_of_one_in_n(z, mu, logvar):
    std = (logvar / 2).exp()
    away = (z.unsqueeze(1) - mu.unsqueeze(0)) / std
    logs = -(away**2 / 2).sum(2) - std.log().sum(1) - z.shape[1] / 2 * math.log(2 * math.pi)
    return torch.logsumexp(logs + math.log(1 / len(mu)), dim=1)


@right("log_aggregate")
def by_a_bayesian_detour(z, mu, logvar):
    """The log-density of the first image, less how likely it is to have been the one."""
    logs = of_each(z, mu, logvar)
    return logs[:, 0] - logs.log_softmax(1)[:, 0] - math.log(len(mu))


@wrong("log_aggregate", "rounds to 0 before its logarithm")
def densities_first(z, mu, logvar):
    return of_each(z, mu, logvar).exp().mean(1).log()


@wrong("log_aggregate", "changes the z")
def in_place(z, mu, logvar):
    made = log_mean(of_each(z, mu, logvar))
    z -= z.mean()
    return made


enter(
    "log_aggregate",
    {
        "You average the logarithms": lambda z, m, v: of_each(z, m, v).mean(1),
        "do not divide by their number": lambda z, m, v: of_each(z, m, v).logsumexp(1),
        "number of images twice": lambda z, m, v: log_mean(
            of_each(z, m, v) - math.log(len(m)), dim=1
        ),
        "each number of the code apart": lambda z, m, v: log_mean(log_normals(z, m, v)).sum(1),
        "average over the numbers of the code": lambda z, m, v: log_mean(
            log_normals(z, m, v).mean(2)
        ),
        "the density itself": lambda z, m, v: of_each(z, m, v).exp().mean(1),
        "for a standard deviation": lambda z, m, v: log_mean(
            (-0.5 * ((z[:, None] - m) / v) ** 2 - v.abs().log() - 0.5 * math.log(2 * math.pi)).sum(
                2
            )
        ),
        "for the variance itself": lambda z, m, v: log_mean(
            (-0.5 * (z[:, None] - m) ** 2 / v - 0.5 * torch.log(2 * math.pi * v)).sum(2)
        ),
        "logarithm of the standard deviation": lambda z, m, v: log_mean(of_each(z, m, v + v)),
        "multiply the squared distance": lambda z, m, v: log_mean(
            (-0.5 * (z[:, None] - m) ** 2 * v.exp() - 0.5 * (v + math.log(2 * math.pi))).sum(2)
        ),
        "lack the factor with 2 pi": lambda z, m, v: log_mean(of_each(z, m, v, constant=0.0)),
        "all of the same height": lambda z, m, v: log_mean(of_each(z, m, v, height=0.0)),
        "counts twice": lambda z, m, v: log_mean(of_each(z, m, v, half=1.0)),
        "keep the most likely image": lambda z, m, v: (
            of_each(z, m, v).max(1).values - math.log(len(m))
        ),
        "density of the most likely image": lambda z, m, v: of_each(z, m, v).amax(dim=1),
        "a hill where they leave a hole": lambda z, m, v: (
            Normal(m.mean(0), (v.exp().mean(0) + m.var(0, unbiased=False)).sqrt())
            .log_prob(z)
            .sum(1)
        ),
        "the density of the prior": lambda z, m, v: Normal(0.0, 1.0).log_prob(z).sum(dim=1),
        "a column for each image": of_each,
        "average over the codes z": lambda z, m, v: log_mean(of_each(z, m, v), dim=0),
        "averaged over the codes z too": lambda z, m, v: log_mean(of_each(z, m, v)).mean(),
        "wrong sign": lambda z, m, v: -log_mean(of_each(z, m, v)),
        "No gradient": lambda z, m, v: log_mean(of_each(z.detach(), m.detach(), v.detach())),
        "Your function stopped": lambda z, m, v: Normal(m, (v / 2).exp()).log_prob(z.T).sum(1),
        "is not right yet": lambda z, m, v: (
            kl_divergence(Normal(m, (v / 2).exp()), Normal(0.0, 1.0)).sum(1).mean() * z.sum(1)
        ),
    },
    [],
)

# ------------------------------------------------------------------------ how sure a reader is


def joint(bounds, counts):
    return bounds.exp() * counts / counts.sum()


@right("label_posterior")
def shifted_and_divided(bounds, counts):
    weights = (bounds - bounds.max(dim=1, keepdim=True).values).exp() * counts
    return weights / weights.sum(dim=1, keepdim=True)


@right("label_posterior")
def less_the_evidence(bounds, counts):
    logs = bounds + torch.log(counts / counts.sum())
    return (logs - logs.logsumexp(1, keepdim=True)).exp()


@right("label_posterior")
def from_pairs_of_labels(bounds, counts):
    """One over the sum of the odds against each label."""
    n = counts.to(bounds.dtype)
    odds = (bounds[:, None, :] - bounds[:, :, None]).exp() * n / n[:, None]
    return (1 / odds.sum(2)).nan_to_num(0.0)


@right("label_posterior")
def row_by_row(bounds, counts):
    prior = counts.double().div(counts.sum()).log()
    return torch.stack([torch.softmax(row.double() + prior, 0) for row in bounds])


@wrong("label_posterior", "exp(-800) is 0")
def likelihoods_first(bounds, counts):
    made = joint(bounds, counts)
    return made / made.sum(1, keepdim=True)


@wrong("label_posterior", "changes the bounds")
def added_in_place(bounds, counts):
    bounds += counts.log()
    return bounds.softmax(1)


enter(
    "label_posterior",
    {
        "do not depend on the counts": lambda b, n: b.softmax(dim=-1),
        "whatever the image says": lambda b, n: (n / n.sum()).repeat(len(b), 1),
        "Your columns sum to 1": lambda b, n: (b + n.log()).softmax(0),
        "Your whole table": lambda b, n: joint(b, n) / joint(b, n).sum(),
        "add counts to logarithms": lambda b, n: torch.softmax(b + n, 1),
        "add shares to logarithms": lambda b, n: torch.softmax(b + n / n.sum(), 1),
        "multiply logarithms by shares": lambda b, n: torch.softmax(b * n / n.sum(), 1),
        "multiply logarithms by counts": lambda b, n: torch.softmax(b * n, 1),
        "divide once more": lambda b, n: b.softmax(1) * n / n.sum(),
        "image and label together": joint,
        "no probabilities yet": lambda b, n: b.exp() * n,
        "Yours are the logarithms": lambda b, n: (b + n.log()).log_softmax(1),
        "Yours is log p(x, y)": lambda b, n: b + (n / n.sum()).log(),
        "Yours are still logarithms": lambda b, n: b + n.log(),
        "has the base 10": lambda b, n: (b + (n / n.sum()).log10()).softmax(1),
        "comes out as the least likely": lambda b, n: (n.log() - b).softmax(1),
        "The rarer a label is": lambda b, n: (b - n.log()).softmax(1),
        "one image more": lambda b, n: (b + (n + 1).log()).softmax(1),
        "how sure it is gets lost": lambda b, n: (
            torch.eye(b.shape[1])[(b + n.log()).argmax(1)]
        ),
        "Yours is the label that is read": lambda b, n: (b + n.log()).argmax(dim=1),
        "the likeliest label alone": lambda b, n: (b + n.log()).softmax(1).max(1).values,
        "each label by itself": lambda b, n: b.sigmoid(),
        "divide the bounds themselves": lambda b, n: b / b.sum(dim=1, keepdim=True),
        "is not right yet": lambda b, n: (b + 2 * n.log()).softmax(1),
        "Your function stopped": lambda b, n: b + math.log(n),
    },
    [],
)  # fmt: skip

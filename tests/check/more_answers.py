"""The catalogue, continued: faulty code to repair, and answers that are trained."""

from types import SimpleNamespace

import torch
import torch.nn.functional as F
from check_answers import enter, right, wrong
from torch import nn

from course_utils.check.classifying import ce_of_torch
from course_utils.check.contest import handed_out_accuracy
from course_utils.check.labels import told_of_torch

# ------------------------------------------------------------------------------ 01 training

enter(
    "best_epoch",
    {
        "by the test error": lambda h: sorted(h, key=lambda r: r["test_sse"])[0]["epoch"],
        "learns by heart": lambda h: min(h, key=lambda r: r["train_sse"])["epoch"],
        "the last epoch": lambda h: h[-1]["epoch"],
        "counts from 0": lambda h: [r["val_sse"] for r in h].index(min(r["val_sse"] for r in h)),
        "the error itself": lambda h: min(r["val_sse"] for r in h),
        "worst epoch": lambda h: max(h, key=lambda r: r["val_sse"])["epoch"],
        "is not right yet": lambda h: 1,
        "with KeyError": lambda h: min(h, key=lambda r: r["validation"])["epoch"],
    },
    [
        lambda h: sorted(h, key=lambda r: r["val_sse"])[0]["epoch"],
        lambda h: min((r["val_sse"], r["epoch"]) for r in h)[1],
        lambda h: h[int(torch.tensor([r["val_sse"] for r in h]).argmin())]["epoch"],
    ],
)


def step_with(loss_of, before=lambda o: o.zero_grad(), after=lambda o: None, move=True):
    """A training step put together from its lines."""

    def step(model, optimizer, x):
        loss = loss_of(model(x), x)
        before(optimizer)
        loss.backward()
        after(optimizer)
        if move:
            optimizer.step()
        return loss.item()

    return step


def per_image(recon, x):
    return F.mse_loss(recon, x, reduction="sum") / len(x)


def nothing(optimizer):
    """Leave the gradients as they are."""


enter(
    "repaired_step",
    {
        "One fault is left: the gradients": step_with(per_image, before=nothing),
        "One fault is left: the error": step_with(F.mse_loss),
        "Two faults are left": step_with(lambda r, x: (r - x).pow(2).mean(), before=nothing),
        "summed over the batch": step_with(lambda r, x: (r - x).pow(2).sum()),
        "nothing is left to go by": step_with(
            per_image, before=nothing, after=lambda o: o.zero_grad()
        ),
        "takes no step": step_with(per_image, move=False),
        "not those of gradient descent": step_with(lambda r, x: (r - x).abs().sum() / len(x)),
    },
    [
        step_with(lambda r, x: (r - x).square().sum() / x.shape[0]),
        step_with(lambda r, x: (r - x).square().flatten(1).sum(1).mean()),
    ],
)


@wrong("repaired_step", "a tensor comes back")
def step_of_tensors(model, optimizer, x):
    optimizer.zero_grad()
    loss = per_image(model(x), x)
    loss.backward()
    optimizer.step()
    return loss


@right("repaired_step")
def step_that_clears_afterwards(model, optimizer, x):
    loss = per_image(model(x), x)
    loss.backward()
    optimizer.step()
    model.zero_grad()
    return float(loss)


def small(x, steps=400, code=3, activation=nn.Tanh, out=nn.Sigmoid, lr=3e-3, wide=96):
    """An autoencoder, trained by full batches of 100."""
    torch.manual_seed(3)
    encode = nn.Sequential(nn.Flatten(), nn.Linear(784, wide), activation(), nn.Linear(wide, code))
    decode = nn.Sequential(
        nn.Linear(code, wide),
        activation(),
        nn.Linear(wide, 784),
        out(),
        nn.Unflatten(1, (1, 28, 28)),
    )
    model = nn.ModuleDict({"encode": encode, "decode": decode})
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    for i in range(steps):
        batch = x[(100 * i) % len(x) :][:100]
        loss = (decode(encode(batch)) - batch).square().sum() / len(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return SimpleNamespace(encode=encode, decode=decode)


class Average(nn.Module):
    """Answers with the mean image of the training set."""

    def __init__(self, x):
        super().__init__()
        self.mean = x.mean(0)

    def encode(self, x):
        return torch.zeros(len(x), 3)

    def decode(self, z):
        return self.mean.expand(len(z), -1, -1, -1)


def components(x, k=3):
    """Principal components, which are the yardstick itself."""
    mean = x.flatten(1).mean(0)
    axes = torch.linalg.svd(x.flatten(1) - mean, full_matrices=False).Vh[:k].T
    return SimpleNamespace(
        encode=lambda v: (v.flatten(1) - mean) @ axes,
        decode=lambda z: (z @ axes.T + mean).view(-1, 1, 28, 28),
    )


enter(
    "beats_pca",
    {
        "the average digit": lambda x: small(x, steps=0),
        "Your code has 8 numbers": lambda x: small(x, steps=1, code=8),
        "without `encode`": lambda x: x.mean(),
        "have shape (500, 784)": lambda x: SimpleNamespace(
            encode=lambda v: torch.zeros(len(v), 3), decode=lambda z: torch.zeros(len(z), 784)
        ),
        "it learns something": lambda x: small(x, steps=60),
        "go down to -1": lambda x: SimpleNamespace(
            encode=lambda v: torch.zeros(len(v), 3),
            decode=lambda z: torch.full((len(z), 1, 28, 28), -1.0),
        ),
        "with RuntimeError": lambda x: SimpleNamespace(
            encode=lambda v: v.view(7), decode=lambda z: z
        ),
    },
    [
        lambda x: small(x, steps=1200),
        lambda x: small(x, steps=1200, activation=nn.GELU, wide=128),
        lambda x: small(x, steps=1200, activation=nn.ReLU, out=nn.Hardtanh, wide=128),
    ],
)

# ------------------------------------------------------------------------------ 04 bounds


def bce(a, x, how="sum"):
    each = F.binary_cross_entropy_with_logits(a, x, reduction="none").flatten(1)
    return each.sum(1) if how == "sum" else each.mean(1)


def kl(m, v):
    return -0.5 * (1 + v - m**2 - v.exp()).sum(1)


def kl_std(m, s):
    return -0.5 * (1 + torch.log(s**2) - m**2 - s**2).sum(1)


enter(
    "repaired_bound",
    {
        "All three": lambda a, x, m, v: bce(a, x, "mean") - kl_std(m, v) + 0.0,
        "hundreds of times too much; and the KL takes logvar for a standard deviation: for": (
            lambda a, x, m, v: bce(a, x, "mean") + kl_std(m, v)
        ),
        "One fault is left: the reconstruction": lambda a, x, m, v: bce(a, x, "mean") + kl(m, v),
        "One fault is left: the KL takes": lambda a, x, m, v: bce(a, x) + kl_std(m, v),
        "One fault is left: the KL is subtracted": lambda a, x, m, v: bce(a, x) - kl(m, v),
        "missing altogether": lambda a, x, m, v: bce(a, x),
        "averaged over the batch": lambda a, x, m, v: (bce(a, x) + kl(m, v)).mean(),
        "minus that": lambda a, x, m, v: -(bce(a, x) + kl(m, v)),
    },
    [
        lambda a, x, m, v: bce(a, x) + kl(m, v),
        lambda a, x, m, v: kl(m, v) - torch.distributions.Bernoulli(logits=a, validate_args=False)
        .log_prob(x).flatten(1).sum(1),
        lambda a, x, m, v: (F.softplus(a) - x * a).flatten(1).sum(1).double()
        + 0.5 * (m * m + v.exp() - v - 1).sum(-1),
    ],
)  # fmt: skip


def vae(x, beta, weight=lambda beta: (1.0, beta), steps=200, seed=0, lr=2e-3):
    """A small VAE, trained; weight gives that of reconstruction and KL."""
    torch.manual_seed(seed)
    enc = nn.Sequential(nn.Flatten(), nn.Linear(784, 96), nn.ReLU(), nn.Linear(96, 12))
    dec = nn.Sequential(nn.Linear(6, 96), nn.ReLU(), nn.Linear(96, 784))
    optimizer = torch.optim.Adam([*enc.parameters(), *dec.parameters()], lr=lr)
    for i in range(steps):
        batch = x[(50 * i) % len(x) :][:50]
        m, v = enc(batch).chunk(2, 1)
        recon = bce(dec(m + (v / 2).exp() * torch.randn_like(m)), batch.flatten(1))
        a, b = weight(beta)
        optimizer.zero_grad()
        (a * recon + b * kl(m, v)).mean().backward()
        optimizer.step()
    with torch.no_grad():
        return enc(x).chunk(2, 1)


enter(
    "beta_sweep",
    {
        "beta changes nothing": lambda x, b: vae(x, b, weight=lambda beta: (1.0, 1.0)),
        "Which term has the weight": lambda x, b: vae(x, b, weight=lambda beta: (beta, 1.0)),
        "say nothing": lambda x, b: vae(x, b, weight=lambda beta: (1 / 784, 10 + beta)),
        "mu and logvar are wanted": lambda x, b: x.mean(),
        "have shapes": lambda x, b: (torch.zeros(8), torch.zeros(8)),
        "diverged": lambda x, b: (torch.full((len(x), 2), float("inf")), torch.zeros(len(x), 2)),
    },
    [
        vae,
        lambda x, b: vae(x, b, seed=4, lr=3e-3),
        lambda x, b: [v.double() for v in vae(x, b, steps=300)] and tuple(vae(x, b)),
    ],
)

# ------------------------------------------------------------------------------ 05 labels

enter(
    "told",
    {
        "in front of the code": lambda z, y, n: torch.cat([torch.eye(n)[y], z], 1),
        "as one number": lambda z, y, n: torch.cat([z, y.view(-1, 1).float()], 1),
        "largest label of the batch": lambda z, y, n: torch.cat([z, F.one_hot(y).float()], 1),
        "the label is missing": lambda z, y, n: z.clone(),
        "the code is missing": lambda z, y, n: torch.eye(n)[y],
        "each pair": lambda z, y, n: torch.cat(
            [z.repeat_interleave(len(y), 0), torch.eye(n)[y].repeat(len(z), 1)], 1
        )
        if len(z) > 1
        else torch.cat([z, torch.eye(n)[y]], 1),
        "with RuntimeError": lambda z, y, n: z + torch.eye(n + 7)[y],
    },
    [
        lambda z, y, n: torch.cat([z, F.one_hot(y, n).float()], dim=-1),
        told_of_torch,
        lambda z, y, n: torch.stack(
            [torch.cat([a, torch.eye(n)[b]]) for a, b in zip(z, y, strict=True)]
        ),
    ],
)  # fmt: skip


def per_code(decode, z):
    return torch.stack([decode(code.expand(10, -1), torch.arange(10)) for code in z])


enter(
    "repaired_sheet",
    {
        "rows mix the codes": lambda d, z: d(
            torch.cat([z] * 10), torch.arange(10).repeat(len(z))
        ).view(len(z), 10, -1),
        "a row for each class": lambda d, z: per_code(d, z).transpose(0, 1),
        "one long list": lambda d, z: per_code(d, z).flatten(0, 1),
        "the first code": lambda d, z: torch.stack([per_code(d, z)[0]] * len(z)),
        "are class 0": lambda d, z: per_code(d, z)[:, :1].repeat(1, 10, 1),
        "all ten classes": lambda d, z: d(
            z.repeat_interleave(10, 0), torch.arange(10).repeat_interleave(len(z))
        ).view(len(z), 10, -1),
        "with RuntimeError": lambda d, z: d(z, torch.arange(10)),
    },
    [
        per_code,
        lambda d, z: torch.stack(
            [d(z, torch.full((len(z),), c)) for c in range(10)], dim=1
        ),
        lambda d, z: d(
            z[:, None].expand(-1, 10, -1).flatten(0, 1), torch.arange(10).repeat(len(z))
        ).unflatten(0, (-1, 10)),
    ],
)  # fmt: skip

enter(
    "obedience",
    {
        "the number of obedient": lambda a, y: (a.argmax(1) == y).sum(),
        "in percent": lambda a, y: 100 * (a.argmax(1) == y).float().mean(),
        "that disobeys": lambda a, y: (a.argmax(1) != y).float().mean(),
        "mean probability": lambda a, y: torch.exp(-ce_of_torch(a, y)).mean(),
        "a number for each image": lambda a, y: (a.argmax(1) == y).float(),
        "smallest logit": lambda a, y: (a.argmin(1) == y).float().mean(),
    },
    [
        lambda a, y: sum(int(row.argmax()) == int(c) for row, c in zip(a, y, strict=True)) / len(y),
        lambda a, y: (a.softmax(1).max(1).indices == y).double().mean(),
        lambda a, y: torch.eq(a.topk(1).indices[:, 0], y).sum().item() / y.numel(),
    ],
)


def artist(x, y, tell=True, code=True, steps=750, seed=0, lr=3e-3):
    """A conditional VAE, trained; return its decoder."""
    torch.manual_seed(seed)
    enc = nn.Sequential(nn.Linear(794, 96), nn.ReLU(), nn.Linear(96, 8))
    dec = nn.Sequential(nn.Linear(14, 96), nn.ReLU(), nn.Linear(96, 784))
    optimizer = torch.optim.Adam([*enc.parameters(), *dec.parameters()], lr=lr)
    label = torch.eye(10) if tell else torch.zeros(10, 10)
    for i in range(steps):
        rows = slice((50 * i) % 1500, (50 * i) % 1500 + 50)
        pixels, told = x[rows].flatten(1), label[y[rows]]
        m, v = enc(torch.cat([pixels, told], 1)).chunk(2, 1)
        z = m + (v / 2).exp() * torch.randn_like(m)
        loss = bce(dec(torch.cat([code * z, told], 1)), pixels) + kl(m, v)
        optimizer.zero_grad()
        loss.mean().backward()
        optimizer.step()
    return lambda z, y: dec(torch.cat([code * z, label[y]], 1)).sigmoid().unflatten(1, (1, 28, 28))


def logits_of(decode):
    """A decoder that forgets the sigmoid."""
    return lambda z, y: decode(z, y).logit()


enter(
    "label_reaches",
    {
        "hardly changes what is drawn": lambda x, y: artist(x, y, tell=False, steps=300),
        "The code changes nothing": lambda x, y: artist(x, y, code=False),
        "60% are wanted": lambda x, y: artist(x, (y + torch.arange(len(y)) % 2) % 10),
        "are these logits": lambda x, y: logits_of(artist(x, y)),
        "does the network train": lambda x, y: artist(x, y, steps=0),
        "for 200 codes of 4 numbers": lambda x, y: lambda y, z: torch.eye(10)[y] @ z,
        "return decode, a function": lambda x, y: x.mean(),
        "(200, 1, 28, 28) is wanted": lambda x, y: lambda z, c: torch.zeros(len(z), 784),
        "with RuntimeError": lambda x, y: lambda z, c: z.view(3),
    },
    [
        artist,
        lambda x, y: artist(x, y, seed=5),
        lambda x, y: artist(x, y, steps=900, lr=2e-3),
    ],
)

# ------------------------------------------------------------------------------ 07 contest


def tested(share, evaluate=True, back=True):
    """An accuracy put together from its lines."""

    def accuracy(model, x, y):
        if evaluate:
            model.eval()
        with torch.no_grad():
            made = share(model(x).argmax(1) == y)
        if back:
            model.train()
        return made

    return accuracy


enter(
    "repaired_accuracy",
    {
        "is left in eval mode": tested(lambda hit: hit.float().mean().item(), back=False),
        "you divide by 100": tested(lambda hit: hit.sum().item() / 100),
        "number of right images": tested(lambda hit: hit.sum().item()),
        "in percent": tested(lambda hit: 100 * hit.float().mean().item()),
        "share of wrong": tested(lambda hit: 1 - hit.float().mean().item()),
        "One fault is left: dropout": tested(lambda hit: hit.float().mean().item(), evaluate=False),
        "Two faults": lambda model, x, y: 1.0 * handed_out_accuracy(model, x, y),
    },
    [
        tested(lambda hit: hit.double().mean()),
        tested(lambda hit: hit.sum().item() / len(hit)),
        lambda model, x, y: sum(tested(lambda hit: hit.float().tolist())(model, x, y)) / len(y),
    ],
)


def classifier(x, y, passes=12, lr=2e-3, wide=128, seed=0):
    """A network for scrambled digits, trained."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(784, wide), nn.ReLU(), nn.Linear(wide, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    for i in range(passes * 40):
        rows = slice((50 * i) % 2000, (50 * i) % 2000 + 50)
        loss = F.cross_entropy(model(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


def late(x, y, seconds):
    """Works for longer than is given, whatever else the machine does."""
    import time

    end = time.process_time() + 1.5 * seconds + 2.5
    while time.process_time() < end:
        x @ x.T
    return classifier(x, y, 1)


def known(x, y, seconds, kept={}):  # noqa: B006
    """Returns for every data set what was trained on the first."""
    kept.setdefault("model", classifier(x, y))
    return kept["model"]


enter(
    "your_minute",
    {
        "scrambled digits your model is right in": lambda x, y, s: classifier(x, y, 0),
        "are the goal": lambda x, y, s: classifier(x, y, 1, lr=1e-4),
        "are given": late,
        "logits (B, 10)": lambda x, y, s: nn.Linear(784, 3),
        "return the trained model": lambda x, y, s: 0.99,
        "scrambled garments your model is right in": known,
    },
    [
        lambda x, y, s: classifier(x, y),
        lambda x, y, s: classifier(x, y, passes=15, lr=1e-3, wide=256).eval(),
        lambda x, y, s: classifier(x, y, wide=64, seed=9),
    ],
)

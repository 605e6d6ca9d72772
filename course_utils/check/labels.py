"""Checks of chapter 05 on what a network does with a label."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from course_utils.check.calling import Answer, Crash, evaluating
from course_utils.check.exercise import exercise
from course_utils.check.probes import Case, Gradients, Mistake, Untouched, Values, case
from course_utils.data import drawn

# ------------------------------------------------------------------------------- telling a decoder

TOLD_CASES = (
    case([[0.5]], torch.tensor([1]), 2),
    case([[0.5, -1.0], [2.0, 0.0]], torch.tensor([0, 2]), 3),
    case([[0.1, 0.2, 0.3]], torch.tensor([1]), 4),
)


def told_of_torch(z, y, n_classes):
    """Return codes and one-hot labels by torch's functional: the oracle."""
    return torch.hstack([z, F.one_hot(y, n_classes).to(z)])


TOLD_MISTAKES = (
    Mistake(
        lambda z, y, n: torch.hstack([F.one_hot(y, n).to(z), z]),
        "Yours has the label in front of the code: the code comes first",
    ),
    Mistake(
        lambda z, y, n: torch.hstack([z, y[:, None].to(z)]),
        "Yours joins the label as one number, so that a 9 is nine times a 1: a row with a single 1 "
        "is wanted",
    ),
    Mistake(
        lambda z, y, n: torch.hstack([z, F.one_hot(y).to(z)]),
        "The width of yours depends on the largest label of the batch: it has n_classes more "
        "numbers than the code",
    ),
    Mistake(lambda z, y, n: z, "Yours is the code alone: the label is missing"),
    Mistake(
        lambda z, y, n: F.one_hot(y, n).to(z),
        "Yours is the label alone: the code is missing",
    ),
    Mistake(
        lambda z, y, n: torch.stack([torch.hstack([a, b]) for a in z for b in F.one_hot(y, n)]),
        "Yours has a row for each pair of code and label: code i belongs to label i",
    ),
)


@exercise(
    "05",
    probes=[
        Values("your input", told_of_torch, TOLD_CASES, TOLD_MISTAKES),
        Gradients("your input", TOLD_CASES[1], ("z",)),
        Untouched(TOLD_CASES[1]),
    ],
    hints=[
        "A decoder for codes of Z numbers and ten classes gets Z + 10 numbers for each image.",
        "Make the label a one-hot row, and join it to the code along dimension 1.",
    ],
    opens="A linear layer behind it adds a bias of its own for each class.",
)
def told(z, y, n_classes):
    """Return codes with one-hot labels behind them, (B, Z + n_classes).

    z: codes (B, Z).  y: labels (B,), whole numbers from 0.
    """
    return torch.cat([z, torch.eye(n_classes)[y]], dim=1)


# ------------------------------------------------------------------------ one code, every class


def handed_out_sheet(decode, z):
    """Return each code decoded as each of ten classes, (B, 10, ...)."""
    y = torch.arange(10).repeat(len(z))
    images = decode(z.repeat(10, 1), y)
    return images.unflatten(0, (len(z), 10))


def traced(z, y):
    """Return code and label as they came, in place of an image."""
    return torch.cat([z, y[:, None].to(z)], dim=1)


def sheet_of_loops(decode, z):
    """Return the sheet, one call at a time: the oracle."""
    cells = [decode(code[None], torch.tensor([c]))[0] for code in z for c in range(10)]
    return torch.stack(cells).view(len(z), 10, -1)


SHEET_CASES = (
    Case((traced, torch.tensor([[7.0]])), "one code, 7"),
    Case((traced, torch.tensor([[7.0], [8.0]])), "the codes 7 and 8"),
    Case((traced, torch.arange(6.0).view(3, 2)), "three codes"),
)
SHEET_MISTAKES = (
    Mistake(
        handed_out_sheet,
        "In your sheet code and label do not belong together: rows mix the codes. `repeat` puts "
        "whole copies behind one another",
    ),
    Mistake(
        lambda decode, z: (
            sheet_of_loops(decode, z).transpose(0, 1).flatten(0, 1).unflatten(0, (len(z), 10))
        ),
        "Code and label belong together in yours, and the sheet is cut into the wrong rows: your "
        "list goes through the codes for each class",
    ),
    Mistake(
        lambda decode, z: sheet_of_loops(decode, z).flatten(0, 1).unflatten(0, (10, len(z))),
        "Your list is in order, and the sheet is cut into ten rows: a row for each code is "
        "wanted, (B, 10, ...)",
    ),
    Mistake(
        lambda decode, z: handed_out_sheet(decode, z).flatten(0, 1).unflatten(0, (10, len(z))),
        "In your sheet code and label do not belong together, and it is cut into ten rows: a row "
        "for each code is wanted, (B, 10, ...)",
    ),
    Mistake(
        lambda decode, z: sheet_of_loops(decode, z).transpose(0, 1),
        "Your sheet has a row for each class: a row for each code is wanted, (B, 10, ...)",
    ),
    Mistake(
        lambda decode, z: sheet_of_loops(decode, z).flatten(0, 1),
        "Yours is one long list: a row for each code is wanted, (B, 10, ...)",
    ),
    Mistake(
        lambda decode, z: sheet_of_loops(decode, z[:1]).expand(len(z), -1, -1),
        "All rows of yours have the first code",
    ),
    Mistake(
        lambda decode, z: torch.stack(
            [decode(z, torch.zeros(len(z), dtype=torch.long))] * 10, dim=1
        ),
        "All columns of yours are class 0",
    ),
    Mistake(
        lambda decode, z: decode(
            z.repeat_interleave(10, 0), torch.arange(10).repeat_interleave(len(z))
        ).unflatten(0, (len(z), 10)),
        "In your sheet the codes are in order and the labels are not: each row has all ten classes",
    ),
)


@exercise(
    "05",
    probes=[Values("your sheet", sheet_of_loops, SHEET_CASES, SHEET_MISTAKES)],
    starter=handed_out_sheet,
    hints=[
        "With one code it works. Write down z.repeat(10, 1) for two codes, a and b.",
        "The labels run 0 to 9 for the first code, then 0 to 9 for the second. The codes must run "
        "a a a ..., b b b ...",
        "Look for `repeat_interleave`.",
    ],
    opens="A swap of repeat and repeat_interleave raises no error: only a test sees it.",
)
def repaired_sheet(decode, z):
    """Return each code decoded as each of ten classes, (B, 10, ...)."""
    y = torch.arange(10).repeat(len(z))
    images = decode(z.repeat_interleave(10, dim=0), y)
    return images.unflatten(0, (len(z), 10))


# ----------------------------------------------------------------------------- does it obey?

OBEDIENCE_CASES = (
    case([[2.0, 0.0]], torch.tensor([0])),
    case([[2.0, 0.0], [3.0, 1.0]], torch.tensor([0, 1])),
    case([[0.0, 1.0, -1.0], [2.0, 3.0, 1.0], [0.1, 0.0, 0.4]], torch.tensor([1, 0, 2]),
         note="three images, of which a classifier sees two as what was asked for"),
    case([[5.0, 9.0], [0.0, 1.0], [3.0, 4.0], [1.0, 0.0]], torch.tensor([1, 1, 0, 1])),
)  # fmt: skip


def seen(logits):
    """Return the class that a classifier sees."""
    return logits.argmax(1)


def above(scores, y, least):
    """Return the share of images whose score for what was asked is above a threshold."""
    return (scores.gather(1, y[:, None]) > least).double().mean()


OBEDIENCE_MISTAKES = (
    Mistake(
        lambda a, y: (seen(a) == y).sum(),
        "Yours is the number of obedient images: their share is wanted, from 0 to 1",
    ),
    Mistake(
        lambda a, y: 100 * (seen(a) == y).double().mean(),
        "Yours is in percent: a share from 0 to 1 is wanted",
    ),
    Mistake(
        lambda a, y: (seen(a) != y).double().mean(),
        "Yours is the share that disobeys",
    ),
    Mistake(
        lambda a, y: a.softmax(1).gather(1, y[:, None]).mean(),
        "Yours is the mean probability of what was asked: count the images that are seen as it",
    ),
    *(
        Mistake(
            lambda a, y, how=how, least=least: above(how(a), y, least),
            "You count an image when the number of what was asked is above some threshold: a "
            "classifier sees the class whose number is the largest, be it small",
        )
        for how, least in ((torch.clone, 0.0), (torch.clone, 0.5), (lambda a: a.softmax(1), 0.5))
    ),
    Mistake(
        lambda a, y: (seen(a) == y).double(),
        "Yours has a number for each image: their share is wanted",
    ),
    Mistake(
        lambda a, y: (a.argmin(1) == y).double().mean(),
        "Yours takes the class with the smallest logit: the largest one is what is seen",
    ),
)


@exercise(
    "05",
    probes=[Values("your share", lambda a, y: (seen(a) == y).double().mean(), OBEDIENCE_CASES,
                   OBEDIENCE_MISTAKES)],
    hints=[
        "What a classifier sees is the class with the largest logit.",
        "Compare with what was asked, and take the mean of True and False as floats.",
    ],
    opens="Such a number needs a referee that never saw the generator, as in the chapter.",
)  # fmt: skip
def obedience(logits, asked):
    """Return the share of images seen as what was asked for, from 0 to 1.

    logits: of a classifier on generated images, (B, classes).
    asked: labels (B,).
    """
    return (logits.argmax(dim=1) == asked).float().mean()


# --------------------------------------------------------------------------- the label at work


def reaches(answer: Answer) -> str | None:
    """Train the answer on drawn digits, and ask its decoder for each digit."""
    x, y = drawn.digits(1_500, 31)
    x = x.float() / 255
    decode = answer(x, y)
    if not callable(decode):
        return f"Your function returns a {type(decode).__name__}: return decode, a function."
    generator = torch.Generator().manual_seed(0)
    z, asked = torch.randn(200, 4, generator=generator), torch.arange(200) % 10
    try:
        with evaluating(decode):
            images = decode(z, asked)
    except Crash as crash:
        where = "It was called as decode(z, y), for 200 codes of 4 numbers and 200 labels."
        raise Crash(f"{crash} {where}") from None
    if images.shape != (200, 1, 28, 28):
        return f"decode gives {tuple(images.shape)} for 200 codes: (200, 1, 28, 28) is wanted."
    return picture_fault(images, x) or label_fault(images, asked, x, y)


def picture_fault(images, x) -> str | None:
    """Say when what is drawn is no picture of a digit, whatever was asked for."""
    low, high = images.min().item(), images.max().item()
    if low < -0.5 or high > 1.5:
        return (
            f"Your images go from {low:.2g} to {high:.2g}, and pixels lie between 0 and 1: are "
            "these logits?"
        )
    contrast = images.flatten(1).std(dim=1).mean() / x.flatten(1).std(dim=1).mean()
    if contrast < 0.3:
        return (
            f"Your images are nearly one grey, with {contrast:.0%} of the contrast of the digits: "
            "does the network train, and long enough?"
        )
    return None


def label_fault(images, asked, x, y) -> str | None:
    """Say how many images look like the digit that was asked for, if those are too few."""
    same_digit = [images[asked == c].std(dim=0).mean().item() for c in range(10)]
    means = torch.stack([x[y == c].mean(0) for c in range(10)])
    by_class = torch.stack([images[asked == c].mean(0) for c in range(10)])
    nearest = torch.cdist(images.flatten(1), means.flatten(1)).argmin(1)
    share = (nearest == asked).double().mean().item()
    if by_class.std(dim=0).mean() < 0.3 * means.std(dim=0).mean():
        return (
            f"The label hardly changes what is drawn ({share:.0%} look like what was asked for, "
            "and chance is 10%): does it reach the decoder, and does the loss fall?"
        )
    if share < 0.6:
        return (
            f"{share:.0%} of the images look like the digit that was asked for: 60% are wanted. "
            "Either the trained codes do not lie where N(0, 1) does, or they carry the digit, so "
            "that a drawn code contradicts the label."
        )
    if max(same_digit) < 1e-3:
        return "The code changes nothing: every 4 is the same 4; the decoder hears the label alone."
    return None


@exercise(
    "05",
    probes=[reaches],
    hints=[
        "Give the decoder the code and a one-hot label, as `told` does.",
        "Codes are drawn from N(0, 1) when it is asked: a KL term keeps the trained ones there.",
        "Tell the encoder the label as well, so that its code need not name the digit.",
    ],
    opens="The label says which digit, and the code how it is written.",
    seconds=5,
)
def label_reaches(x, y):
    """Train a conditional VAE; return its decode(z, y) -> images.

    x: images (N, 1, 28, 28) in [0, 1].  y: labels (N,), 0 to 9.
    z: codes of 4 numbers, (B, 4).
    """
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Linear(794, 128), nn.ReLU(), nn.Linear(128, 8))
    decoder = nn.Sequential(nn.Linear(14, 128), nn.ReLU(), nn.Linear(128, 784))
    parameters = [*encoder.parameters(), *decoder.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=3e-3)
    label, nll = torch.eye(10), F.binary_cross_entropy_with_logits
    for _ in range(15):
        for rows in torch.randperm(len(x)).split(50):
            pixels, told = x[rows].flatten(1), label[y[rows]]
            mu, logvar = encoder(torch.cat([pixels, told], 1)).chunk(2, dim=1)
            z = mu + (logvar / 2).exp() * torch.randn_like(mu)
            logits = decoder(torch.cat([z, told], 1))
            recon = nll(logits, pixels, reduction="sum")
            kl = 0.5 * (mu.square() + logvar.exp() - 1 - logvar).sum()
            optimizer.zero_grad()
            ((recon + kl) / len(rows)).backward()
            optimizer.step()

    def decode(z, y):
        made = decoder(torch.cat([z, label[y]], 1)).sigmoid()
        return made.view(-1, 1, 28, 28)

    return decode

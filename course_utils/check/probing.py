"""Checks of chapter 00 on reading: a probe with faults, and a feature of one's own."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from course_utils import metrics
from course_utils.check.calling import Answer
from course_utils.check.exercise import exercise
from course_utils.data import drawn

# ------------------------------------------------------------------------- a probe with faults


def handed_out_probe(z, y, z_test, y_test):
    """Return the share of test images that a linear probe reads rightly."""
    z = (z - z.mean(dim=0)) / z.std(dim=0)
    z_test = (z_test - z_test.mean(dim=0)) / z_test.std(dim=0)
    targets = F.one_hot(y).float()
    weights = torch.linalg.lstsq(z, targets - targets.mean(dim=0)).solution
    guesses = (z @ weights).argmax(dim=1)
    return (guesses == y).float().mean().item()


def two_heaps() -> tuple[torch.Tensor, ...]:
    """Return descriptions and labels: training images of two classes, test images of one.

    A fifth of the training labels and a tenth of the test labels are wrong, so that 0.8 and 0.9 are
    what any straight boundary between the heaps reads.
    """
    generator = torch.Generator().manual_seed(7)
    y = torch.arange(200) % 2
    z = torch.tensor([[-2.0, 1.0], [2.0, -1.0]])[y]
    z = z + 0.2 * torch.randn(200, 2, generator=generator)
    z_test = torch.tensor([2.0, -1.0]) + 0.2 * torch.randn(100, 2, generator=generator)
    flipped = (torch.arange(200) // 2) % 5 == 0
    return z, torch.where(flipped, 1 - y, y), z_test, (torch.arange(100) % 10 > 0).long()


OWN_SCALE = (
    "the test images are brought to mean 0 by their own mean, so that they no longer lie where the "
    "probe has learnt them"
)
ON_TRAIN = "The probe is scored on the images that it has learnt from"


def probe_faults(answer: Answer) -> str | None:
    """Compare with 0.9, which only an honest score of test images reaches."""
    got = float(answer.tensor(*two_heaps()))
    if abs(got - 0.9) < 1e-4:
        return alone(answer)
    if abs(got - 0.8) < 1e-4:
        return (
            f"{ON_TRAIN}: it reads 0.8 of them, and 0.9 of the test "
            "images. Once that is mended, give it a single test image."
        )
    if abs(got - 0.1) < 1e-4:
        return "Yours is the share of wrong answers, or the two classes are exchanged (0.1)."
    if got > 1:
        return f"Yours is {got:.4g}: a share from 0 to 1 is wanted."
    if 0.3 < got < 0.75:
        return (
            f"One fault is left: {OWN_SCALE} (all test images here are of one class; yours reads "
            f"{got:.2f} of them, and 0.9 can be read)."
        )
    return f"Yours is {got:.3g} where any straight boundary reads 0.9."


def alone(answer: Answer) -> str | None:
    """Ask for a single test image, which has no deviation of its own."""
    z, y, z_test, y_test = two_heaps()
    got = float(answer.tensor(z, y, z_test[1:2], y_test[1:2]))
    if math.isclose(got, 1.0, abs_tol=1e-6):
        return honest(answer)
    return (
        f"For a single test image, which lies in the middle of its class, yours gives {got:.3g}, "
        f"not 1: what is computed from the test images besides their guesses?"
    )


def honest(answer: Answer) -> str | None:
    """Ask whether labels or company of the test images move what is learnt from the others."""
    z, y, z_test, y_test = two_heaps()
    if not abs(float(answer.tensor(z, y, z_test, 1 - y_test)) - 0.1) < 1e-4:
        return (
            "With the test labels exchanged, 0 for 1, a probe that has never seen them reads 0.1, "
            "and yours reads more: what do the test labels do besides being compared?"
        )
    generator = torch.Generator().manual_seed(8)
    many = torch.tensor([0.8, -0.4]) + 0.2 * torch.randn(4_000, 2, generator=generator)
    if float(answer.tensor(z, y, many, torch.ones(4_000, dtype=torch.long))) < 0.9:
        return (
            "Many test images of one class move your boundary: mean and deviation are taken from "
            "training and test images together, and belong to the training images alone."
        )
    return None


@exercise(
    "00",
    probes=[probe_faults],
    starter=handed_out_probe,
    hints=[
        "There are two faults. Ask of each line: which images is it about, those to learn from or "
        "those to be tested on?",
        "Give it a single test image. What is its deviation?",
        "Mean and deviation belong to the probe, like its weights: they are computed once, from "
        "the training images.",
    ],
    opens="A score that has seen the test images is no score, and nothing in the code complains.",
)
def repaired_probe(z, y, z_test, y_test):
    """Return the share of test images that a linear probe reads rightly."""
    mean, deviation = z.mean(dim=0), z.std(dim=0)
    targets = F.one_hot(y).float()
    middle = targets.mean(dim=0)
    z, z_test = (z - mean) / deviation, (z_test - mean) / deviation
    weights = torch.linalg.lstsq(z, targets - middle).solution
    guesses = (z_test @ weights + middle).argmax(dim=1)
    return (guesses == y_test).float().mean().item()


# ------------------------------------------------------------------------- a feature of one's own

MOST_NUMBERS = 32


def feature_faults(answer: Answer) -> str | None:
    """Let a linear probe read the answer's feature of drawn digits, beside principal components."""
    x, y = drawn.digits(1_000, 71)
    x_test, y_test = drawn.digits(1_000, 72)
    x, x_test = x.float() / 255, x_test.float() / 255
    z, z_test = (answer.tensor(images).detach().float() for images in (x, x_test))
    if z.ndim != 2 or len(z) != len(x):
        return f"Your feature has shape {tuple(z.shape)} for {len(x)} images: (B, F) is wanted."
    if z.shape[1] > MOST_NUMBERS:
        return f"Your feature has {z.shape[1]} numbers; {MOST_NUMBERS} are allowed."
    if not (z.isfinite().all() and z_test.isfinite().all()):
        return "Some of your numbers are not finite: is something divided by 0 in a blank image?"
    first = answer.tensor(x_test[:5]).detach().float()
    if not torch.allclose(first, z_test[:5], atol=1e-4):
        return (
            "The same image has another feature in another batch: it must be computed from the "
            "image alone, and without chance."
        )
    return reading_fault(z, y, z_test, y_test, components_read(x, y, x_test, y_test))


def components_read(x, y, x_test, y_test) -> float:
    """Return what a probe reads from as many principal components."""
    mean = x.flatten(1).mean(0)
    axes = torch.linalg.eigh((x.flatten(1) - mean).T.cov())[1][:, -MOST_NUMBERS:]
    z, z_test = ((images.flatten(1) - mean) @ axes for images in (x, x_test))
    return metrics.linear_probe_accuracy(z, y, z_test, y_test)


def reading_fault(z, y, z_test, y_test, yardstick: float) -> str | None:
    """Say when a probe reads less from a feature than from principal components."""
    found = metrics.linear_probe_accuracy(z, y, z_test, y_test)
    if found < 0.3:
        return f"A linear probe reads {found:.0%} of the digits from your feature: hardly anything."
    if found <= yardstick:
        return (
            f"A linear probe reads {found:.1%} of the digits from your {z.shape[1]} numbers; from "
            f"{MOST_NUMBERS} principal components it reads {yardstick:.1%}, and that is to be "
            "beaten."
        )
    return None


@exercise(
    "00",
    probes=[feature_faults],
    hints=[
        "What tells a 1 from a 0 whatever the pen? Not how bright a pixel is, but in which "
        "direction a stroke runs, and roughly where.",
        "Differences of neighbouring pixels, to the right and downwards, give a direction at each "
        "pixel. Sort the pixels by it into two or three kinds.",
        "Then `F.adaptive_avg_pool2d(maps, 3)` says how much of each kind lies in each of nine "
        "places: 27 numbers.",
    ],
    opens="What one knows about strokes is worth more to a straight boundary than variance is.",
    seconds=2,
)
def your_feature(x):
    """Return at most 32 numbers for each image, for a linear probe to read.

    x: images, (B, 1, 28, 28) in [0, 1].
    The numbers: (B, F), each row of its image alone.
    """
    down = F.pad(x[:, :, 2:] - x[:, :, :-2], (0, 0, 1, 1))
    right = F.pad(x[..., 2:] - x[..., :-2], (1, 1))
    angle = torch.atan2(down, right) % torch.pi
    strength = torch.hypot(down, right)
    kinds = (angle / (torch.pi / 3)).long().clamp_max(2)
    maps = torch.cat([strength * (kinds == kind) for kind in range(3)], dim=1)
    return F.adaptive_avg_pool2d(maps, 3).flatten(1)

"""Checks of chapter 03: how images are damaged, so that a network learns to mend them."""

from __future__ import annotations

import torch

from course_utils.check.calling import Answer
from course_utils.check.exercise import exercise
from course_utils.check.probes import OnTheCard, Untouched, case
from course_utils.check.statistics import (
    are_correlated,
    is_not_normal,
    mean_is_off,
    share_is_off,
    std_is_off,
)
from course_utils.check.wording import number

GREY = torch.full((200, 1, 25, 40), 0.5)  # 200,000 pixels
SMALL = case([[[[0.2, 0.9], [0.5, 0.0]]]], 0.5)


def shape_fault(got: torch.Tensor, x: torch.Tensor) -> str | None:
    """Say when an answer is not of the shape of its images."""
    if got.shape == x.shape:
        return None
    return f"Your images have shape {tuple(got.shape)} for {tuple(x.shape)}; it must not change."


def one_for_all(noise: torch.Tensor) -> str | None:
    """Say when images or pixels share what is drawn: noise is (B, 1, H, W)."""
    if noise.std() < 1e-6:
        return "All pixels of all images get the same number: draw one for each pixel."
    each = noise.flatten(1).std(dim=1)
    if (each < 1e-6).any():
        return "All pixels of an image get the same number: draw one for each pixel."
    if torch.equal(noise[0], noise[1]) or are_correlated(noise[:-1], noise[1:]):
        return (
            "All images of the batch get the same noise, so that a network can learn it by heart: "
            "draw it for each image."
        )
    pixels = noise.flatten(1)
    if are_correlated(pixels[:, :-1], pixels[:, 1:]):
        return "Neighbouring pixels get noise that hangs together: draw a number for each pixel."
    return None


# ----------------------------------------------------------------------------------------- noise


def noise_spread(answer: Answer) -> str | None:
    """Look at mean, deviation and form of the noise on grey images, for two sigmas."""
    for sigma in (0.1, 0.5):
        got = answer.tensor(GREY, sigma).detach().cpu()
        if fault := shape_fault(got, GREY):
            return fault
        if fault := spread_fault(got - GREY, sigma, got):
            return fault
    return None


def spread_fault(noise: torch.Tensor, sigma: float, got: torch.Tensor) -> str | None:
    """Say what is wrong with noise that ought to come from N(0, sigma^2)."""
    std = noise.double().std().item()
    where = f"for sigma = {sigma} its standard deviation is {std:.3g}"
    if not std_is_off(noise, sigma):
        if mean_is_off(noise, 0.0, sigma):
            return f"Your noise has the mean {noise.mean().item():.3g}; it is to be 0."
        if is_not_normal(noise):
            return "Your noise has the right mean and deviation and is not normal: torch.randn is."
        return None
    if got.min() >= 0 and got.max() <= 1:
        if (got == 0).any() and (got == 1).any():
            return (
                "You cut the noisy pixels to [0, 1], so that the noise is no longer normal: leave "
                f"them as they are ({where})."
            )
        if mean_is_off(noise, 0.0, std):
            return f"Your noise is never negative: torch.rand is uniform on [0, 1] ({where})."
    for wrong, says in {
        1.0: "Your noise has the deviation 1 whatever sigma is: multiply it by sigma",
        sigma**2: "Your noise is multiplied by sigma squared: sigma is the standard deviation",
        sigma**0.5: "Your noise is multiplied by the root of sigma, as if sigma were a variance",
    }.items():
        if not std_is_off(noise, wrong):
            return f"{says} ({where})."
    if not std_is_off(noise - 0.0, 0.5 * sigma):
        return f"Your noise is multiplied by the image too: it is added to it ({where})."
    if mean_is_off(noise, 0.0, std):
        return f"Your noise is not centred on 0: torch.rand is uniform on [0, 1] ({where})."
    return f"Your noise is spread wrongly: {where}."


def noise_is_fresh(answer: Answer) -> str | None:
    """Look whether images, pixels and calls have noise of their own."""
    x = GREY[:50]
    one, two = (answer.tensor(x, 0.3, seed=seed).detach().cpu() for seed in (1, 2))
    if fault := shape_fault(one, x):
        return fault
    one, two = one - x, two - x
    if one.abs().max() == 0:
        return "Your images are as they were: no noise is added."
    if torch.equal(one, two):
        return "Two calls give the same noise: a seed is set inside of your function; leave it out."
    return one_for_all(one) or one_for_colours(answer)


def one_for_colours(answer: Answer) -> str | None:
    """Ask for images of three channels."""
    x = torch.full((20, 3, 25, 40), 0.5)
    got = answer.tensor(x, 0.3).detach().cpu()
    if fault := shape_fault(got, x):
        return fault
    if are_correlated(got[:, :-1], got[:, 1:]):
        return "The channels of a colour image get the same noise: draw a number for each of them."
    return None


def no_noise(answer: Answer) -> str | None:
    """Ask for sigma = 0."""
    x = SMALL.inputs[0]
    if not torch.allclose(answer.tensor(x, 0.0).detach().cpu().float(), x, atol=1e-6):
        return "For sigma = 0 the images change; they must come back as they were."
    return None


@exercise(
    "03",
    probes=[noise_is_fresh, noise_spread, no_noise, Untouched(SMALL), OnTheCard(SMALL)],
    hints=[
        "Every pixel of each image gets a number of its own from a normal distribution of mean 0.",
        "`torch.randn_like(x)` has the standard deviation 1. Which factor makes it sigma?",
        "Add the scaled noise to x, in a new tensor; cut nothing off.",
    ],
    opens="Now a network can be asked for the clean image, and given the noisy one.",
)
def add_gaussian_noise(x, sigma):
    """Return images with normal noise of deviation sigma added, not cut off.

    x: images (B, C, H, W).  sigma: 0 or more.
    """
    return x + sigma * torch.randn_like(x)


# ----------------------------------------------------------------------------------------- masks


def mask_share(answer: Answer) -> str | None:
    """Count the pixels that are hidden, for two shares."""
    for share in (0.25, 0.7):
        got = answer.tensor(GREY, share).detach().cpu()
        if fault := shape_fault(got, GREY) or share_fault(got, share):
            return fault
    return None


def share_fault(got: torch.Tensor, share: float) -> str | None:
    """Say what is wrong with grey pixels of which a share ought to be 0."""
    hidden, kept = got == 0, got[got != 0]
    found = hidden.double().mean().item()
    if len(kept) and torch.allclose(kept, torch.tensor(0.5 / (1 - share)), atol=1e-4):
        return (
            "The pixels that stay are made brighter, as dropout does: leave them as they are (for "
            f"share = {share} a pixel of 0.5 becomes {number(kept[0].item())})."
        )
    if len(kept) and not torch.allclose(kept, torch.tensor(0.5)):
        values = sorted(set(got.flatten()[:1000].tolist()))
        if len(values) == 2:
            return f"Hidden pixels become {number(max(values, key=lambda v: abs(v - 0.5)))}, not 0."
        return "The pixels that stay change; they must stay as they are."
    if not share_is_off(int(hidden.sum()), hidden.numel(), share):
        return None
    if not share_is_off(int(hidden.sum()), hidden.numel(), 1 - share):
        return (
            f"You keep the share instead of hiding it: for share = {share}, {found:.0%} of the "
            "pixels are 0."
        )
    if found == 0:
        return "No pixel is hidden."
    return f"For share = {share}, {found:.1%} of the pixels are 0: it is to be {share:.0%}."


def mask_is_fresh(answer: Answer) -> str | None:
    """Look whether images, pixels and calls have masks of their own."""
    x = GREY[:50]
    one, two = (answer.tensor(x, 0.5, seed=seed).detach().cpu() for seed in (1, 2))
    if (fault := shape_fault(one, x)) or torch.equal(one, x):
        return fault or "No pixel is hidden."
    if torch.equal(one, two):
        return (
            "Two calls hide the same pixels: a seed is set inside of your function; leave it out."
        )
    rows = (one == 0).double().mean(dim=(1, 2, 3))
    if (rows == 1).any():
        return "Whole images are hidden: the draw decides for each pixel."
    if torch.equal(one[0], one[1]) or are_correlated(one[:-1], one[1:]):
        return "The same pixels are hidden in all images of the batch: draw a mask for each image."
    if are_correlated(one[..., :-1], one[..., 1:]) or are_correlated(
        one[..., :-1, :], one[..., 1:, :]
    ):
        return "Neighbouring pixels are hidden together: the draw decides for each pixel alone."
    return None


def mask_ends(answer: Answer) -> str | None:
    """Ask for a share of 0 and of 1."""
    x = SMALL.inputs[0]
    if not torch.equal(answer.tensor(x, 0.0).detach().cpu().float(), x):
        return "For share = 0 the images change; they must come back as they were."
    if answer.tensor(x, 1.0).detach().abs().max() != 0:
        return "For share = 1 some pixels stay; all of them must be 0."
    return None


@exercise(
    "03",
    probes=[mask_is_fresh, mask_share, mask_ends, Untouched(SMALL), OnTheCard(SMALL)],
    hints=[
        "`torch.rand_like(x)` gives each pixel a number between 0 and 1. How many are below share?",
        "A comparison makes a mask of True and False; times x it keeps the True ones.",
        "Keep the pixels whose number is `share` or more, in a new tensor.",
    ],
    opens="Hidden pixels carry no trace of what they were, so a network has to infer them.",
)
def mask_pixels(x, share):
    """Return images with each pixel set to 0 with probability `share`.

    x: images (B, C, H, W).  share: from 0 to 1.
    """
    return x * (torch.rand_like(x) >= share)

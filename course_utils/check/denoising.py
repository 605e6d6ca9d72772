"""Checks of chapter 03 on denoising: a loss with faults, and a denoiser that is trained."""

from __future__ import annotations

import torch
from torch import nn

from course_utils.check.calling import Answer, evaluating
from course_utils.check.exercise import exercise
from course_utils.check.pixels import some
from course_utils.check.training import error_per_image, floats

# --------------------------------------------------------------------------- a loss with faults


def handed_out_denoising(model, x, sigma):
    """Return the squared error per image between clean and restored ones."""
    noise = sigma * torch.randn(x.shape[1:])
    x += noise
    recon = model(x)
    return (recon - x).square().sum() / len(x)


class Witness(nn.Module):
    """Remembers what it is shown, and answers with some share of it."""

    def __init__(self, share: float):
        super().__init__()
        self.share = nn.Parameter(torch.tensor(share))
        self.shown: list[torch.Tensor] = []

    def forward(self, x):
        """Return a part of x."""
        self.shown.append(x.detach().clone())
        return self.share * x


SHARED = "the same noise is added to every image of the batch, so that a network learns to " \
    "subtract that one pattern"  # fmt: skip
SPOILT = "what the answer is compared with is noisy too, and then the best network is one that " \
    "changes nothing (`+=` works in place)"  # fmt: skip


def loss_faults(answer: Answer) -> str | None:
    """Watch what a model is shown, and with what its answer is compared."""
    x, sigma = some(40, 1, 5, 6, seed=6), 0.5
    witness = Witness(1.0)
    given = x.clone()
    loss = answer(witness, given, sigma, copies=False)
    if not witness.shown:
        return "The model is never asked: its answer to noisy images is what the loss is about."
    if not isinstance(loss, torch.Tensor) or not loss.requires_grad:
        return "No gradient comes back to the model: look for .item(), .detach() or torch.no_grad."
    if loss.numel() != 1:
        return f"Your loss has shape {tuple(loss.shape)}: one number, the mean over the images."
    noise = witness.shown[0] - x
    if noise.shape != x.shape or noise.abs().max() < 1e-6:
        return "The model is shown the clean images: where does the noise go in?"
    shared = torch.allclose(noise[0], noise[1], atol=1e-6)
    got, clean = loss.item(), noise.square().sum().item() / len(x)
    spoilt = got < 1e-6 * clean + 1e-9
    left = [says for says, there in ((SHARED, shared), (SPOILT, spoilt)) if there]
    if left:
        return f"{'Both faults are' if len(left) == 2 else 'One fault is'} left: " \
            f"{'; and '.join(left)}."  # fmt: skip
    if witness.shown[0].min() >= 0 and witness.shown[0].max() <= 1:
        return "The noisy pixels are cut to [0, 1] before the model sees them: leave them."
    if abs(noise.std().item() / sigma - 1) > 0.2:
        return f"The noise has the deviation {noise.std().item():.3g} for sigma = {sigma}."
    if not torch.equal(given, x):
        return "The loss is right, and the images of the caller are noisy afterwards: copy them."
    if abs(got / (x.square().sum().item() / len(x)) - 1) < 1e-4:
        return "Your model's answer is compared with the noise: the clean images are wanted."
    return size_fault(got, clean, x)


def size_fault(got: float, clean: float, x: torch.Tensor) -> str | None:
    """Say when a loss is no mean over images of sums over pixels."""
    if abs(got / clean - 1) < 1e-4:
        return None
    pixels = x[0].numel()
    for factor, says in {
        1 / pixels: "Your error is averaged over the pixels: sum over them",
        len(x): "Your error is summed over the batch: the mean over the images is wanted",
        0.5: "Your error is halved",
    }.items():
        if abs(got / clean / factor - 1) < 1e-4:
            return f"{says} (it is {got:.4g}, not {clean:.4g})."
    if 1.6 < got / clean < 2.5:
        return "The target is noisy as well, with a noise of its own: the clean images are wanted."
    return (
        f"For a model that changes nothing the loss is {got:.4g}; the noise that it leaves has a "
        f"squared sum of {clean:.4g} per image."
    )


@exercise(
    "03",
    probes=[loss_faults],
    starter=handed_out_denoising,
    hints=[
        "Give it a model that changes nothing, `lambda x: x`. What ought the loss to be, and what "
        "is it?",
        "Look at the shape of the noise, and at what `+=` does to x.",
        "For how many images of the batch is one noise drawn? And where are the clean images after "
        "the second line?",
    ],
    opens="With a noisy target the best answer is no answer, and the loss falls all the same.",
)
def repaired_denoising(model, x, sigma):
    """Return the squared error per image between clean and restored ones."""
    noisy = x + sigma * torch.randn_like(x)
    recon = model(noisy)
    return (recon - x).square().sum() / len(x)


# ------------------------------------------------------------------------------ a denoiser

SIGMA = 0.5


def removes_noise(answer: Answer) -> str | None:
    """Train the answer on drawn digits, and let it restore others."""
    train, test = floats(1_000, 61), floats(300, 62)
    generator = torch.Generator().manual_seed(63)
    noisy = test + SIGMA * torch.randn(test.shape, generator=generator)
    model = answer(train, SIGMA)
    if not callable(model):
        return f"Your function returns a {type(model).__name__}: return the trained model."
    with evaluating(model):
        made, untouched = model(noisy), model(test)
    if made.shape != test.shape:
        return f"Your images have shape {tuple(made.shape)}, not {tuple(test.shape)}."
    return restored_fault(made, untouched, noisy, train, test)


def restored_fault(made, untouched, noisy, train, test) -> str | None:
    """Say what is wrong with restored images."""
    ours, spoilt = error_per_image(made, test), error_per_image(noisy, test)
    components = by_components(noisy, train, test)
    goal = 0.9 * components
    if ours > 0.9 * spoilt:
        return (
            f"The noise is still there: the error is {ours:.0f}, that of the noisy images "
            f"{spoilt:.0f}. What is the target in training?"
        )
    if ours > 0.95 * error_per_image(train.mean(0), test):
        return (
            f"Your network's error is {ours:.1f}, no better than that of the average digit: does "
            "it see noise in training, is its target the clean image, and does it train long "
            "enough?"
        )
    clean = error_per_image(untouched, test)
    if clean < 0.4 * ours and ours > goal:
        return (
            f"On clean images your network's error is {clean:.1f}, on noisy ones "
            f"{ours:.1f}: it has hardly met the noise that it is to remove."
        )
    if ours > goal:
        return (
            f"Your network's error is {ours:.1f}; principal components leave {components:.1f}, and "
            f"{goal:.1f} is the goal: does every pass draw noise anew, and are there enough passes?"
        )
    return None


def by_components(noisy, train, test) -> float:
    """Return the error of the best projection on principal components of the clean images."""
    mean = train.flatten(1).mean(0)
    _, _, axes = torch.pca_lowrank(train.flatten(1) - mean, q=50, center=False, niter=4)
    errors = []
    for k in (10, 20, 30, 40):
        made = (noisy.flatten(1) - mean) @ axes[:, :k] @ axes[:, :k].T + mean
        errors.append(error_per_image(made, test.flatten(1)))
    return min(errors)


@exercise(
    "03",
    probes=[removes_noise],
    hints=[
        "One hidden layer of 256 units is enough, 784 to 256 to 784, with a ReLU between and a "
        "sigmoid at the end.",
        "Noise goes onto each batch when it is used, not onto the images once and for all: or the "
        "network learns the noise by heart.",
        "Twenty passes in batches of 50, Adam at 2e-3.",
    ],
    opens="It has learned what digits look like, without any code that is narrow.",
    seconds=3,
)
def trained_denoiser(x, sigma):
    """Train a network that removes noise of deviation sigma; return it.

    x: clean images, (N, 1, 28, 28) in [0, 1].
    The model takes noisy images (B, 1, 28, 28) and returns clean ones.
    """
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(784, 256), nn.ReLU(),
        nn.Linear(256, 784), nn.Sigmoid(), nn.Unflatten(1, (1, 28, 28)),
    )  # fmt: skip
    adam = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(20):
        for batch in x[torch.randperm(len(x))].split(50):
            noisy = batch + sigma * torch.randn_like(batch)
            error = (model(noisy) - batch).square().sum() / len(batch)
            adam.zero_grad()
            error.backward()
            adam.step()
    return model

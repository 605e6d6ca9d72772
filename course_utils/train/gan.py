"""The training of a generative adversarial network: two losses, two optimizers, one average.

Each batch of real images meets as many generated ones. The discriminator learns first, then, with
its weights frozen, teaches the generator. What is looked at and scored comes from an exponential
moving average of the generator's weights, which wobbles less than the generator itself.

Sources: Goodfellow et al. 2014, arXiv 1406.2661; Karras et al. 2018, arXiv 1710.10196 (the
average); Mescheder, Geiger and Nowozin 2018, arXiv 1801.04406 (R1 and R2).
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from course_utils import runtime
from course_utils.data.loader import Loader, check_loader
from course_utils.losses.adversarial import squared_slope
from course_utils.runtime import CourseError
from course_utils.train import graphs
from course_utils.train.loop import run_epochs
from course_utils.train.means import RunningMeans
from course_utils.train.noise import same_noise
from course_utils.train.numerics import drop_negligible, forget_gradients
from course_utils.train.one_loss import prefix
from course_utils.train.pace import Pace
from course_utils.train.watch import CHECK_EVERY, refuse_lost_weights, refuse_nan

RAMP = 0.05  # the average looks back over at most this share of what has been trained

Images = Callable[[torch.Tensor], torch.Tensor]  # images to images


def fit_gan(
    generator: nn.Module,
    discriminator: nn.Module,
    average: nn.Module,
    train: Loader,
    val: Loader | None = None,
    *,
    epochs: int,
    d_loss: Callable,
    g_loss: Callable,
    d_optimizer: torch.optim.Optimizer,
    g_optimizer: torch.optim.Optimizer,
    relativistic: bool = False,
    r1: float = 0.0,
    r2: float = 0.0,
    penalty_every: int = 16,
    augment: Images | None = None,
    prepare: Images | None = None,
    d_steps: int = 1,
    half_life: float = 10_000,
    decay: float = 0.0,
    precision: str = "float32",
    graph: bool = False,
    checkpoint: Path | None = None,
    resume: bool = False,
    run: dict | None = None,
    on_epoch: Callable[[dict], None] | None = None,
    progress: bool | None = None,
) -> list[dict]:
    """Train a GAN in place and return its history: one dict of means per epoch.

    Args:
        generator: codes z (B, Z) -> images; Z is its `code_dim`. The codes are drawn from N(0, 1).
        discriminator: images -> logits (B,), large for what it takes for real.
        average: `average_of(generator)`; samples and scores are to come from it.
        train, val: batches (x, y) on the device; y is not looked at.
        epochs: passes over `train` in all, those before a resume included.
        d_loss: `d_loss(real_logits, fake_logits)` -> scalar, minimised by the discriminator.
        g_loss: `g_loss(fake_logits)` -> scalar, minimised by the generator.
        d_optimizer, g_optimizer: of each network's own weights.
        relativistic: call `g_loss(fake_logits, real_logits)`: losses that judge real and fake
            images by their difference.
        r1, r2: weights gamma of the penalties gamma / 2 * |dD/dx|^2 on real and on fake images.
        penalty_every: they are computed at every so many steps only, and weigh as much more.
        augment: changes images at random, alike for real and fake ones, in both steps; gradients
            pass through it. The discriminator sees no others.
        prepare: turns x into what the generator makes; `signed` maps [0, 1] to [-1, 1].
        d_steps: batches from which the discriminator learns, to one step of the generator.
        half_life: of the average, in images; at the start it is shorter.
        decay: both learning rates fall, in a straight line, over this last share of the epochs.
        precision: "float32", or "bf16" for autocast of the forward passes.
        graph: replay the steps as CUDA graphs, see `graphs`; both optimizers must be capturable.
        checkpoint, resume, run, on_epoch, progress: as in `loop.run_epochs`.

    A row of the history holds, after "train_" and, for held-out images beside samples of the
    average, after "val_": "d_loss", "g_loss", "real_score" and "fake_score", the mean logits. In
    training also "g_grad_norm", and "r1" and "r2", the mean of |dD/dx|^2, where they are used.

    Raises Diverged when a loss is NaN or infinite, Interrupted on Ctrl-C, CourseError when the
    checkpoint cannot be read or written, decay is no share below 1, or an epoch is too short for a
    step of the generator.
    """
    check_loader(train, "train")
    check_settings(len(train), d_steps, decay)
    train = Pace(train)
    game = Game(
        generator=generator, discriminator=discriminator, average=average, d_loss=d_loss,
        g_loss=g_loss, d_optimizer=d_optimizer, g_optimizer=g_optimizer, device=train.device,
        relativistic=relativistic, r1=r1, r2=r2, penalty_every=min(penalty_every, len(train)),
        augment=augment or same, prepare=prepare or same, d_steps=d_steps, half_life=half_life,
        precision=precision,
    )  # fmt: skip
    if graph:
        game.d_step = graphs.Captured(game.d_step, d_optimizer)
        game.g_step = graphs.Captured(game.g_step, g_optimizer)

    def one_epoch(epoch: int) -> dict[str, float]:
        train.epoch = epoch
        for optimizer in (d_optimizer, g_optimizer):
            scale_rate(optimizer, rate_factor(epoch, epochs, decay))
        means = play(game, train, epoch)
        scores = held_out(game, val) if val is not None else {}
        return prefix(means, "train_") | prefix(scores, "val_")

    parts = {
        "generator": generator, "discriminator": discriminator, "average": average,
        "d_optimizer": d_optimizer, "g_optimizer": g_optimizer,
    }  # fmt: skip
    return run_epochs(
        one_epoch, parts, epochs=epochs, checkpoint=checkpoint, resume=resume, run=run,
        on_epoch=on_epoch, progress=progress, shown=("train_d_loss", "train_g_loss"),
        hint=train.hint,
    )  # fmt: skip


def check_settings(n_batches: int, d_steps: int, decay: float) -> None:
    """Raise CourseError where no step of the generator or no falling rate can be made of these."""
    if not 1 <= d_steps <= n_batches:
        raise CourseError(
            f"d_steps is {d_steps}, and an epoch has {n_batches} batches: the generator would "
            "not learn; choose d_steps from 1 to that number"
        )
    if not 0 <= decay < 1:
        raise CourseError(
            f"decay is {decay}; it is a share of the epochs, from 0 (rates that stay) to below 1"
        )


@dataclass
class Game:
    """The two networks, and by which rules they play; attributes as in `fit_gan`."""

    generator: nn.Module
    discriminator: nn.Module
    average: nn.Module
    d_loss: Callable
    g_loss: Callable
    d_optimizer: torch.optim.Optimizer
    g_optimizer: torch.optim.Optimizer
    device: torch.device
    relativistic: bool
    r1: float
    r2: float
    penalty_every: int
    augment: Images
    prepare: Images
    d_steps: int
    half_life: float
    precision: str

    def __post_init__(self) -> None:
        self.g_parameters = [p for p in self.generator.parameters() if p.requires_grad]
        self.d_parameters = [p for p in self.discriminator.parameters() if p.requires_grad]

    def made_by(self, generator: nn.Module, n: int) -> torch.Tensor:
        """Return n images of a generator, from codes drawn on the device."""
        z = torch.randn(n, generator.code_dim, device=self.device)
        with runtime.autocast(self.device, self.precision):
            return generator(z).float()

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the discriminator says of images, float32 in every precision."""
        with runtime.autocast(self.device, self.precision):
            return self.discriminator(self.augment(x)).float()

    def d_step(self, real: torch.Tensor, penalise: bool) -> dict[str, torch.Tensor]:
        """Teach the discriminator; return its terms."""
        with torch.no_grad():
            fake = self.made_by(self.generator, len(real))
        real, fake = (x.detach().requires_grad_(penalise) for x in (real, fake))
        real_logits, fake_logits = self.logits(real), self.logits(fake)
        loss = self.d_loss(real_logits, fake_logits)
        terms = self.terms(loss, real_logits, fake_logits)
        if penalise and self.r1:
            terms["r1"] = squared_slope(real_logits, real)
            loss = loss + self.penalty_every * self.r1 / 2 * terms["r1"]
        if penalise and self.r2:
            terms["r2"] = squared_slope(fake_logits, fake)
            loss = loss + self.penalty_every * self.r2 / 2 * terms["r2"]
        forget_gradients(self.d_parameters)
        loss.backward()
        self.d_optimizer.step()
        return terms

    def g_step(self, real: torch.Tensor) -> dict[str, torch.Tensor]:
        """Teach the generator by the frozen discriminator; return its terms."""
        with frozen(self.d_parameters):
            fake_logits = self.logits(self.made_by(self.generator, len(real)))
            loss = self.generator_loss(fake_logits, real)
            forget_gradients(self.g_parameters)
            loss.backward()
        norm = torch.nn.utils.get_total_norm([p.grad for p in self.g_parameters])
        self.g_optimizer.step()
        return {"g_loss": loss, "g_grad_norm": norm}

    def generator_loss(self, fake_logits: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        """Return the generator's loss; a relativistic one asks for the real images' logits too."""
        if not self.relativistic:
            return self.g_loss(fake_logits)
        with torch.no_grad():
            real_logits = self.logits(real)
        return self.g_loss(fake_logits, real_logits)

    def terms(self, loss, real_logits, fake_logits) -> dict[str, torch.Tensor]:
        """Return the discriminator's loss and the mean logits."""
        scores = {"real_score": real_logits.mean(), "fake_score": fake_logits.mean()}
        return {"d_loss": loss} | scores


def play(game: Game, train: Loader, epoch: int) -> dict[str, float]:
    """Make one pass over `train`; return the means of all terms."""
    game.generator.train()
    game.discriminator.train()
    game.average.eval()
    totals = RunningMeans()
    for step, (x, _) in enumerate(train):
        now = epoch * len(train) + step
        real = game.prepare(x)
        totals.add(game.d_step(real, penalise=penalise(game, now)), len(x))
        if now % game.d_steps == game.d_steps - 1:
            totals.add(game.g_step(real), len(x))
        follow(game.average, game.generator, keep(len(x), now + 1, game.half_life))
        if step % CHECK_EVERY == CHECK_EVERY - 1:
            look(game, totals, epoch, step)
    look(game, totals, epoch, step)
    for network in (game.generator, game.discriminator):
        refuse_lost_weights(network, epoch)
    return totals.result()


def penalise(game: Game, step: int) -> bool:
    """Tell whether the penalties are due in a step, counted from the start of the training."""
    return bool(game.r1 or game.r2) and step % game.penalty_every == 0


def look(game: Game, totals: RunningMeans, epoch: int, step: int) -> None:
    """Refuse losses that are no numbers; the device is waited for here."""
    refuse_nan(totals, epoch, step, "d_loss")
    if "g_loss" in totals.aside:
        refuse_nan(totals, epoch, step, "g_loss")
    drop_negligible(game.d_optimizer)
    drop_negligible(game.g_optimizer)


@torch.no_grad()
def held_out(game: Game, val: Loader) -> dict[str, float]:
    """Return the terms of both losses for images of `val` beside as many of the average.

    The discriminator sees them augmented, as it does in training: where it gives the training
    images a higher score than these, it has learned them by heart.
    """
    game.discriminator.eval()
    totals = RunningMeans()
    val.epoch = 0
    with same_noise(game.device):
        for x, _ in val:
            real = game.prepare(x)
            real_logits = game.logits(real)
            fake_logits = game.logits(game.made_by(game.average, len(x)))
            loss = game.d_loss(real_logits, fake_logits)
            g_loss = game.generator_loss(fake_logits, real)
            terms = game.terms(loss, real_logits, fake_logits)
            totals.add(terms | {"g_loss": g_loss}, len(x))
    game.discriminator.train()
    return totals.result()


# ----------------------------------------------------------------------------------- small things


def rate_factor(epoch: int, epochs: int, decay: float) -> float:
    """Return the learning rate of an epoch as a share of the first one.

    It is 1 until the last `decay` of the epochs begins, and then falls in a straight line that
    would reach 0 one epoch after the last.

    Args:
        epoch: its number, from 0.
        epochs: in all.
        decay: share of the epochs, in [0, 1).
    """
    falling = decay * epochs
    return min(1.0, (epochs - epoch) / falling) if falling else 1.0


def scale_rate(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Set the learning rates to `factor` times those that the optimizer began with."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], torch.Tensor):  # captured in a graph: it must stay where it is
            group.setdefault("initial_lr", group["lr"].clone())
            group["lr"].copy_(group["initial_lr"] * factor)
        else:
            group["lr"] = group.setdefault("initial_lr", group["lr"]) * factor


def signed(x: torch.Tensor) -> torch.Tensor:
    """Map pixels in [0, 1] to [-1, 1], where a generator that ends in tanh makes its own."""
    return 2 * x - 1


def same(x: torch.Tensor) -> torch.Tensor:
    """Return x."""
    return x


@contextlib.contextmanager
def frozen(parameters: Iterable[nn.Parameter]):
    """Let no gradient be computed for the parameters: half the cost of the generator's step."""
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


def average_of(generator: nn.Module) -> nn.Module:
    """Return the copy of a generator that `fit_gan` turns into its moving average."""
    return copy.deepcopy(generator).requires_grad_(False).eval()


def keep(n: int, steps: int, half_life: float) -> float:
    """Return the share of the average that a step leaves as it was.

    Args:
        n: images of the step.
        steps: since the start of the training, this one included.
        half_life: in images.
    """
    return 0.5 ** (n / min(half_life, RAMP * steps * n))


@torch.no_grad()
def follow(average: nn.Module, network: nn.Module, keep: float) -> None:
    """Move the average towards the network, weights and running statistics alike."""
    ours, theirs = ([*net.parameters(), *net.buffers()] for net in (average, network))
    for a, b in zip(ours, theirs, strict=True):
        if a.is_floating_point():
            a.lerp_(b, 1 - keep)
        else:  # a count of batches
            a.copy_(b)

"""The rungs of the ladder: what each changes, in which networks and losses.

A rung is a way to train. Those of `ladder` add one remedy to the one before; `source_faults` mends
the source's recipe one fault at a time; `provoked` goes wrong on purpose; `coders` are an
autoencoder, a variational one and a VAE-GAN on the same faces.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import nn

from course_utils.errors import CourseError
from course_utils.losses import adversarial as game
from course_utils.models import gan

NS = (game.logistic_d, game.non_saturating_g)
SATURATING = (game.logistic_d, game.saturating_g)
HINGE = (game.hinge_d, game.hinge_g)
RELATIVISTIC = (game.relativistic_d, game.relativistic_g)
AUGMENT = ("flip", "colour", "shift", "cutout")


@dataclass(frozen=True)
class Rung:
    """One way to train.

    Attributes:
        name, says: for people.
        generator, discriminator: functions that build the networks.
        losses: (d_loss, g_loss).
        betas, lr_g, lr_d: of Adam.
        r1, r2, every: weights of the penalties, and at each how many steps they are computed.
        augment: names of changes that the discriminator sees images through.
        batch: (real images, fakes in the discriminator's step, fakes in the generator's).
        half_life: of the average, in images.
        signed: real images lie in [-1, 1], as the generator's do; the source leaves them in [0, 1].
        d_steps: of the discriminator, to one of the generator.
        images: real images to see.
        decay: the learning rates fall to nothing over the last part of the training.
        share: of the turns, beside the others.
    """

    name: str
    says: str
    generator: Callable = gan.Generator
    discriminator: Callable = gan.Discriminator
    losses: tuple = NS
    betas: tuple = (0.5, 0.999)
    lr_g: float = 2e-4
    lr_d: float = 2e-4
    r1: float = 0.0
    r2: float = 0.0
    every: int = 16
    augment: tuple = ()
    batch: tuple = (64, 64, 64)
    half_life: float = 10_000
    signed: bool = True
    d_steps: int = 1
    images: int = 640_000
    decay: float = 0.0
    share: int = 1
    kind: str = "gan"
    extra: dict = field(default_factory=dict)


def ladder(width: int) -> list[Rung]:
    """Return the rungs at a width: each adds one thing to the one before."""
    g = lambda **a: lambda: gan.Generator(width=width, **a)  # noqa: E731
    d = lambda norm: lambda: gan.Discriminator(width=width, norm=norm)  # noqa: E731
    first = Rung("dcgan", "corrected DCGAN", g(), d("batch"))
    r1 = replace(first, name="r1", says="R1, no batch norm in D", discriminator=d("none"), r1=0.1,
                 betas=(0.0, 0.99), lr_d=4e-4)  # fmt: skip
    spectral = replace(first, name="spectral", says="spectral norm, hinge loss", losses=HINGE,
                       discriminator=d("spectral"), betas=(0.0, 0.9))  # fmt: skip
    augmented = replace(r1, name="augmented", says="DiffAugment and flips", augment=AUGMENT)
    both = replace(augmented, name="relativistic", says="relativistic, R1 and R2", r2=0.1,
                   losses=RELATIVISTIC)  # fmt: skip
    residual = replace(both, name="residual", says="residual networks, no batch norm", every=4,
                       generator=gan.ResidualGenerator, discriminator=gan.ResidualDiscriminator,
                       r1=0.2, r2=0.2, lr_d=2e-4)  # fmt: skip
    return [first, spectral, r1, augmented, both, residual]


def final() -> Rung:
    """Return the last rung: all remedies, wider, for as long as there is time.

    Its generator has 1.75 million weights, so that it can be given away in 3.5 MB; nothing limits
    its teacher, which is as wide as the source's.
    """
    return Rung(
        "final", "all of it, D twice as wide, longer",
        lambda: gan.Generator(width=40, refined=True), lambda: gan.Discriminator(64, "none"),
        RELATIVISTIC, betas=(0.0, 0.99), lr_d=4e-4, r1=0.1, r2=0.1, augment=AUGMENT,
        half_life=20_000, images=8_000_000, decay=0.35, share=3,
    )  # fmt: skip


def source_faults() -> list[Rung]:
    """Return the source's recipe, and the same with one fault after the other mended."""
    written = Rung(
        "source", "as written", gan.SourceGenerator, gan.SourceDiscriminator,
        batch=(16, 64, 64), signed=False, images=108_000,
    )  # fmt: skip
    ranged = replace(written, name="source_range", says="faces in [-1, 1]", signed=True)
    equal = replace(ranged, name="source_equal", says="64 real and 64 fake", batch=(64, 64, 64))
    mended = replace(equal, name="source_mended", says="LeakyReLU, N(0, 0.02), no norm on layer 1",
                     generator=gan.Generator, discriminator=gan.Discriminator)  # fmt: skip
    return [written, ranged, equal, mended]


def provoked(width: int) -> list[Rung]:
    """Return games that go wrong: a discriminator too clever, one too dull, a collapse."""
    base = ladder(width)[0]
    base = replace(base, images=100_000)
    clever = replace(base, name="clever", says="D learns 10 times faster, saturating loss",
                     losses=SATURATING, lr_d=2e-3, d_steps=2)  # fmt: skip
    dull = replace(base, name="dull", says="D learns 200 times slower", lr_d=1e-6)
    collapse = replace(base, name="collapse", says="D learns 10 times slower, nothing normalised",
                       generator=lambda: gan.Generator(width=width, norm="none"),
                       discriminator=lambda: gan.Discriminator(width, "none"), lr_g=5e-4,
                       lr_d=5e-5)  # fmt: skip
    return [clever, dull, collapse]


class Coder(nn.Module):
    """Encoder and decoder of faces: the discriminator's trunk, and the generator."""

    def __init__(self, width: int, code_dim: int = 128):
        super().__init__()
        self.trunk = gan.Discriminator(width=width, norm="batch")
        self.to_code = nn.Linear(8 * width * 16, 2 * code_dim)
        self.decoder = gan.Generator(code_dim, width)

    def encode(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mu and logvar (B, Z) of images in [-1, 1]."""
        mu, logvar = self.to_code(self.trunk.features(x).flatten(1)).float().chunk(2, 1)
        return mu, logvar.clamp(-10, 4)


def coders(width: int) -> list[Rung]:
    """Return the autoencoder, the variational one, and the VAE-GAN."""
    ae = Rung("ae", "autoencoder", kind="ae", lr_g=1e-3, betas=(0.9, 0.999), images=320_000,
              generator=lambda: Coder(width))  # fmt: skip
    vae = replace(ae, name="vae", says="variational autoencoder", kind="vae", extra={"sigma": 0.1})
    both = replace(vae, name="vae_gan", says="VAE-GAN", kind="vae_gan", lr_g=2e-4, lr_d=4e-4,
                   discriminator=lambda: gan.Discriminator(width=width, norm="none"), r1=0.1,
                   augment=("flip",), images=520_000, betas=(0.0, 0.99))  # fmt: skip
    return [ae, vae, both]


STAGES = {
    "all": "every rung, the coders, the source's recipe mended, and what goes wrong",
    "try": "the ladder's last rung alone",
}


def stage(name: str, width: int) -> list[Rung]:
    """Return the rungs of a stage, those first that matter most; raise CourseError for others."""
    if name == "all":
        small = [rung for rung in ladder(width) if rung.name != "residual"]
        return [final(), *small, *coders(width), *source_faults(), *provoked(width)]
    if name == "try":
        return ladder(width)[-1:]
    raise CourseError(f"stage {name!r} is unknown; there are {', '.join(STAGES)}")

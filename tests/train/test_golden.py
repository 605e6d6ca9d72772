"""The loops give the bits that their version stands for.

Runs are kept for months, and whether one is stale is told by `train.LOOP_VERSION`. Here stands once
more, as plainly as can be, what each loop computes in that version: bits against bits on this
machine, no recorded numbers that hold on another only. When a change of the loops makes this fail,
raise LOOP_VERSION, and change the copy below with it.
"""

import copy
import hashlib

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from course_utils import losses, train
from course_utils.data import Batches, batches
from course_utils.models import VAE

COPIED_VERSION = 1


def bits(*modules) -> str:
    """Return the hash of all weights and buffers."""
    tensors = [t for m in modules for t in m.state_dict().values()]
    return hashlib.sha256(b"".join(t.contiguous().numpy().tobytes() for t in tensors)).hexdigest()


def test_the_copy_is_of_this_version():
    assert train.LOOP_VERSION == COPIED_VERSION


# ---------------------------------------------------------------------------------------- one loss


class Conv(nn.Module):
    """A convolutional autoencoder, for the memory format."""

    def __init__(self):
        super().__init__()
        self.down, self.up = nn.Conv2d(1, 6, 4, 4), nn.ConvTranspose2d(6, 1, 4, 4)

    def forward(self, x):
        z = self.down(x).tanh()
        return self.up(z), z

    def pixels(self, logits):
        return logits.sigmoid()


def setup(kind, schedule):
    """Return a new model, its loss, optimizer and schedule."""
    torch.manual_seed(0)
    if kind == "vae":
        model, loss = VAE(widths=(24,), code_dim=3), losses.negative_elbo
    else:
        model, loss = Conv().to(memory_format=torch.channels_last), losses.reconstruction
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, fused=True)
    onecycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=15)
    return model, loss, optimizer, onecycle if schedule else None


def fit_version_1(model, loss, split, optimizer, scheduler, precision):
    """Three epochs on batches of 64, written out."""
    x = split.x.float() / 255
    means = []
    for epoch in range(3):
        made = torch.Generator().manual_seed(5 * 1_000_003 + epoch)
        total = 0.0
        for chosen in torch.randperm(len(x), generator=made).split(64):
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                terms = loss(model, x[chosen].contiguous(), split.y[chosen])
            optimizer.zero_grad()
            terms["loss"].backward()
            optimizer.step()
            if scheduler:
                scheduler.step()
            total += terms["loss"].double().item() * len(chosen)
        for state in optimizer.state.values():
            for moment in (state["exp_avg"], state["exp_avg_sq"]):
                moment[moment.abs() < 1e-30] = 0
        means.append(total / len(x))
    return means


@pytest.mark.parametrize("schedule", [False, True])
@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("kind", ["vae", "conv"])
def test_fit_gives_the_bits_of_its_version(few, kind, precision, schedule):
    model, loss, optimizer, scheduler = setup(kind, schedule)
    torch.manual_seed(1)
    expected = fit_version_1(model, loss, few, optimizer, scheduler, precision)
    ours, loss, optimizer, scheduler = setup(kind, schedule)
    torch.manual_seed(1)
    history = train.fit(ours, loss, batches(few, 64, seed=5, shuffle=True), epochs=3,
                        optimizer=optimizer, scheduler=scheduler, precision=precision,
                        progress=False)  # fmt: skip
    assert bits(ours) == bits(model)
    assert [row["train_loss"] for row in history] == pytest.approx(expected, rel=1e-14)


# --------------------------------------------------------------------------------------------- gan


class Maker(nn.Module):
    """Codes (B, 2) -> points (B, 2)."""

    code_dim = 2

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(2, 16), nn.BatchNorm1d(16), nn.LeakyReLU(), nn.Linear(16, 2)
        )

    def forward(self, z):
        return self.net(z)


class Judge(nn.Module):
    """Points (B, 2) -> logits (B,)."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(), nn.Linear(16, 1))

    def forward(self, x):
        return self.net(x).squeeze(1)


def players():
    """Return generator, discriminator, average, and the two optimizers."""
    torch.manual_seed(0)
    maker, judge = Maker(), Judge()
    adam = [torch.optim.Adam(n.parameters(), 2e-3, (0.0, 0.99), fused=True) for n in (judge, maker)]
    return maker, judge, copy.deepcopy(maker).eval().requires_grad_(False), *adam


def d_loss(real, fake):
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def g_loss(fake):
    return F.softplus(-fake).mean()


def fit_gan_version_1(maker, judge, average, d_optimizer, g_optimizer, x):
    """Three epochs on batches of 50: R1 of weight 0.2 at every third step, noise on all images."""

    def augment(images):
        return images + 0.1 * torch.randn_like(images)

    step = 0
    for epoch in range(3):
        made = torch.Generator().manual_seed(5 * 1_000_003 + epoch)
        for chosen in torch.randperm(len(x), generator=made).split(50):
            fake = maker(torch.randn(50, 2)).detach()
            real = x[chosen].requires_grad_(step % 3 == 0)
            on_real = judge(augment(real))
            loss = d_loss(on_real, judge(augment(fake)))
            if step % 3 == 0:
                (slope,) = torch.autograd.grad(on_real.sum(), real, create_graph=True)
                loss = loss + 3 * 0.2 / 2 * (slope.square().sum() / 50)
            d_optimizer.zero_grad()
            loss.backward()
            d_optimizer.step()
            judge.requires_grad_(False)
            g_optimizer.zero_grad()
            g_loss(judge(augment(maker(torch.randn(50, 2))))).backward()
            judge.requires_grad_(True)
            g_optimizer.step()
            step += 1
            keep = 0.5 ** (50 / min(500, 0.05 * step * 50))
            with torch.no_grad():
                for a, b in zip(average.parameters(), maker.parameters(), strict=True):
                    a.lerp_(b, 1 - keep)
                for a, b in zip(average.buffers(), maker.buffers(), strict=True):
                    a.lerp_(b, 1 - keep) if a.is_floating_point() else a.copy_(b)


def test_fit_gan_gives_the_bits_of_its_version():
    x = torch.randn(250, 2, generator=torch.Generator().manual_seed(3))
    players_by_hand = players()
    torch.manual_seed(1)
    fit_gan_version_1(*players_by_hand, x)
    *ours, d_optimizer, g_optimizer = players()
    torch.manual_seed(1)
    train.fit_gan(*ours, Batches(x, torch.zeros(250), 50, seed=5, shuffle=True), epochs=3,
                  d_loss=d_loss, g_loss=g_loss, d_optimizer=d_optimizer, g_optimizer=g_optimizer,
                  r1=0.2, penalty_every=3, half_life=500, progress=False,
                  augment=lambda images: images + 0.1 * torch.randn_like(images))  # fmt: skip
    assert bits(*ours) == bits(*players_by_hand[:3])

"""The training of a GAN: against one written out by hand, cut and resumed, and when it fails."""

import copy
import math
import multiprocessing
import os
import threading
import time

import pytest
import torch
from torch import nn
from torch.nn.functional import logsigmoid
from tqdm.auto import tqdm

from course_utils import checkpoint, runtime, train
from course_utils.data import Batches
from course_utils.losses import logistic_d as d_loss
from course_utils.losses import non_saturating_g as g_loss
from course_utils.losses import relativistic_d, relativistic_g
from course_utils.runtime import CourseError
from course_utils.train import gan

N, SIZE = 320, 64  # points, and in a batch


class Generator(nn.Module):
    """Codes z (B, 2) -> points in the plane (B, 2)."""

    code_dim = 2

    def __init__(self, norm=False):
        super().__init__()
        between = [nn.BatchNorm1d(32)] if norm else []
        self.net = nn.Sequential(nn.Linear(2, 32), *between, nn.ReLU(), nn.Linear(32, 2))

    def forward(self, z):
        return self.net(z)


class Discriminator(nn.Module):
    """Points (B, 2) -> logits (B,)."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))

    def forward(self, x):
        return self.net(x).squeeze(1)


def ring(n=N, seed=0):
    """Return n points (n, 2) of eight round spots on a circle of radius 2."""
    made = torch.Generator().manual_seed(seed)
    angle = torch.randint(8, (n,), generator=made) * (math.pi / 4)
    centres = 2 * torch.stack([angle.cos(), angle.sin()], dim=1)
    return centres + 0.1 * torch.randn(n, 2, generator=made)


def batches(n=N, seed=0, shuffle=True):
    """Return batches of points on the ring."""
    return Batches(ring(n, seed), torch.zeros(n, dtype=torch.long), SIZE, seed=3, shuffle=shuffle)


def networks(norm=False):
    """Return generator, discriminator and average; the same weights each time."""
    torch.manual_seed(0)
    generator, discriminator = Generator(norm), Discriminator()
    return generator, discriminator, gan.average_of(generator)


def adam(network, lr=5e-3):
    """Return the optimizer of one network."""
    return torch.optim.Adam(network.parameters(), lr=lr, betas=(0.0, 0.99), fused=True)


def fitted(epochs=3, norm=False, made=None, **options):
    """Train new networks on the ring; return them and the history."""
    nets = networks(norm)
    runtime.seed_everything(1)
    settings = {"d_loss": d_loss, "g_loss": g_loss, "progress": False} | options
    history = train.fit_gan(
        *nets, made or batches(), settings.pop("val", None), epochs=epochs,
        g_optimizer=adam(nets[0]), d_optimizer=adam(nets[1]), **settings,
    )  # fmt: skip
    return nets, history


def by_hand(epochs=3, r1=0.0, r2=0.0, every=5, half_life=10_000):
    """Do what `fitted` does in plain PyTorch, with `detach` and two unfused optimizers."""
    generator, discriminator, _ = networks()
    average = copy.deepcopy(generator)
    torch.manual_seed(1)
    d_opt = torch.optim.Adam(discriminator.parameters(), lr=5e-3, betas=(0.0, 0.99))
    g_opt = torch.optim.Adam(generator.parameters(), lr=5e-3, betas=(0.0, 0.99))
    steps, rows = 0, []
    for epoch in range(epochs):
        sums = {"d_loss": 0.0, "g_loss": 0.0}
        for chosen in batches().order(epoch).split(SIZE):
            real = ring()[chosen].requires_grad_()
            fake = generator(torch.randn(SIZE, 2)).detach().requires_grad_()
            d_real, d_fake = discriminator(real), discriminator(fake)
            loss = -logsigmoid(d_real).mean() - nn.functional.logsigmoid(-d_fake).mean()
            sums["d_loss"] += loss.item() * SIZE
            if steps % every == 0:
                for gamma, x, logits in ((r1, real, d_real), (r2, fake, d_fake)):
                    slope = torch.autograd.grad(logits.sum(), x, create_graph=True)[0]
                    loss = loss + every * gamma / 2 * (slope**2).sum(1).mean()
            d_opt.zero_grad()
            loss.backward()
            d_opt.step()
            loss = -logsigmoid(discriminator(generator(torch.randn(SIZE, 2)))).mean()
            g_opt.zero_grad()
            loss.backward()
            g_opt.step()
            sums["g_loss"] += loss.item() * SIZE
            steps += 1
            share = 0.5 ** (SIZE / min(half_life, 0.05 * steps * SIZE))
            with torch.no_grad():
                for a, b in zip(average.parameters(), generator.parameters(), strict=True):
                    a.copy_(share * a + (1 - share) * b)
        rows.append({name: total / N for name, total in sums.items()})
    return (generator, discriminator, average), rows


def weights(network):
    """Return all that a network holds, as one list of numbers."""
    return [v for t in network.state_dict().values() for v in t.flatten().tolist()]


# ------------------------------------------------------------------------------------- what it does


@pytest.mark.parametrize("penalties", [{}, {"r1": 0.3}, {"r1": 0.3, "r2": 0.7}])
def test_it_is_the_game_written_out(penalties):
    nets, history = fitted(penalty_every=5, half_life=300, **penalties)
    expected, rows = by_hand(half_life=300, **penalties)
    for ours, theirs in zip(nets, expected, strict=True):
        for (name, a), b in zip(ours.named_parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5, msg=name)
    for row, means in zip(history, rows, strict=True):
        for name, value in means.items():
            assert row[f"train_{name}"] == pytest.approx(value, rel=1e-4), name


def test_it_finds_the_ring():
    """Of 1,000 samples of the average, most lie on a spot, and no spot is forgotten."""
    nets, _ = fitted(epochs=150, made=batches(1280), r1=0.1, d_steps=1, half_life=2_000)
    torch.manual_seed(5)
    with torch.no_grad():
        points = nets[2](torch.randn(1000, 2))
    angles = torch.arange(8) * (math.pi / 4)
    centres = 2 * torch.stack([angles.cos(), angles.sin()], dim=1)
    distance, nearest = torch.cdist(points, centres).min(dim=1)
    assert (distance < 0.5).float().mean() > 0.7
    assert nearest[distance < 0.5].bincount(minlength=8).min() > 20


def test_history_names_what_is_measured():
    _, history = fitted(val=batches(100, seed=9), r1=0.1)
    terms = ["d_loss", "g_loss", "real_score", "fake_score"]
    train_only = ["g_grad_norm", "r1"]
    expected = {"epoch", *(f"train_{t}" for t in terms + train_only), *(f"val_{t}" for t in terms)}
    assert [row["epoch"] for row in history] == [1, 2, 3]
    assert all(set(row) == expected for row in history)
    assert all(math.isfinite(v) for row in history for v in row.values())


def test_held_out_scores_come_from_the_average_in_eval_mode():
    val = batches(100, seed=9, shuffle=False)
    (generator, discriminator, average), history = fitted(val=val, norm=True, half_life=2_000)
    with torch.no_grad():
        real = discriminator(ring(100, seed=9))
        torch.manual_seed(0)
        fake = discriminator(torch.cat([average.eval()(torch.randn(n, 2)) for n in (64, 36)]))
    assert history[-1]["val_real_score"] == pytest.approx(real.mean().item(), rel=1e-4)
    assert history[-1]["val_fake_score"] == pytest.approx(fake.mean().item(), rel=1e-4)
    assert history[-1]["val_d_loss"] == pytest.approx(d_loss(real, fake).item(), rel=1e-4)
    assert weights(generator) != weights(average)


def test_scoring_changes_nothing_in_the_training():
    plain, scored = fitted(), fitted(val=batches(100, seed=9))
    assert [weights(n) for n in plain[0]] == [weights(n) for n in scored[0]]


def test_each_step_teaches_one_network_and_shows_as_many_fake_as_real_images():
    seen = []

    def watched(x):
        seen.append((len(x), x.requires_grad))
        return x

    nets = networks()
    changes = []

    class Watching(torch.optim.SGD):
        def step(self, closure=None):
            changes.append([[p.grad is not None for p in n.parameters()] for n in nets[:2]])
            return super().step(closure)

    train.fit_gan(
        *nets, batches(100), epochs=1, d_loss=d_loss, g_loss=g_loss, augment=watched,
        d_optimizer=Watching(nets[1].parameters(), 0.1),
        g_optimizer=Watching(nets[0].parameters(), 0.1), progress=False,
    )  # fmt: skip
    # real, fake for D, without a graph to G; then fake for G, whose D keeps its last gradient
    assert seen == [(64, False), (64, False), (64, True), (36, False), (36, False), (36, True)]
    assert not any(changes[0][0]) and all(changes[0][1])
    assert all(p.requires_grad for n in nets[:2] for p in n.parameters())
    assert not any(p.requires_grad for p in nets[2].parameters())


def test_the_generators_step_leaves_the_discriminators_gradient_alone():
    nets, _ = fitted(epochs=1)
    game = gan.Game(
        *nets, d_loss, g_loss, adam(nets[1]), adam(nets[0]), torch.device("cpu"),
        relativistic=False, r1=0, r2=0, penalty_every=1, augment=gan.same, prepare=gan.same,
        d_steps=1, half_life=1.0, precision="float32",
    )  # fmt: skip
    game.d_step(ring(64), False)
    before = [p.grad.clone() for p in nets[1].parameters()]
    game.g_step(ring(64))
    assert all(torch.equal(p.grad, b) for p, b in zip(nets[1].parameters(), before, strict=True))


def test_several_steps_of_the_discriminator():
    steps = []

    def noted(fake):
        steps.append("g")
        return g_loss(fake)

    def noted_too(real, fake):
        steps.append("d")
        return d_loss(real, fake)

    fitted(epochs=2, d_steps=2, g_loss=noted, d_loss=noted_too)  # five batches an epoch: 10 in all
    assert "".join(steps) == 5 * "ddg"  # the generator's comes last, across epochs too
    with pytest.raises(CourseError, match="an epoch has 5 batches"):
        fitted(d_steps=6)


def test_a_relativistic_loss_sees_both_scores():
    options = {"d_loss": relativistic_d, "g_loss": relativistic_g, "relativistic": True}
    nets, history = fitted(epochs=30, val=batches(100, seed=9), r1=0.1, r2=0.1, **options)
    assert {"train_r1", "train_r2"} <= set(history[0])
    assert math.isfinite(history[-1]["val_g_loss"])
    assert weights(nets[0]) != weights(fitted(epochs=30)[0][0])


def test_images_are_prepared_and_augmented():
    """What is prepared is the real batch alone; augmented is all that the discriminator sees."""
    prepared, augmented = [], []

    def prepare(x):
        prepared.append(len(x))
        return gan.signed(x)

    def augment(x):
        augmented.append(len(x))
        return x + 1

    fitted(epochs=1, prepare=prepare, augment=augment)
    assert (len(prepared), len(augmented)) == (5, 15)
    assert gan.signed(torch.tensor([0.0, 0.5, 1.0])).tolist() == [-1, 0, 1]


def test_bf16_runs_in_bf16_and_stays_close():
    kinds = set()

    def augment(x):
        kinds.add(x.dtype)
        return x

    nets, history = fitted(epochs=5, precision="bf16", augment=augment)
    _, exact = fitted(epochs=5)
    assert kinds == {torch.float32}
    assert history != exact
    assert history[-1]["train_d_loss"] == pytest.approx(exact[-1]["train_d_loss"], rel=0.1)
    assert all(p.dtype == torch.float32 for n in nets for p in n.parameters())


def test_the_average_has_the_half_life_that_was_asked_for():
    """Once the ramp is over: a step of 100 images, half-life 200, keeps the root of a half."""
    assert gan.keep(100, steps=10_000, half_life=200) == pytest.approx(0.5**0.5)
    assert gan.keep(100, steps=1, half_life=200) < 1e-5  # the first weights are soon forgotten


def test_the_average_follows_running_statistics_and_shared_weights_once():
    network = nn.Sequential(nn.Linear(2, 2, bias=False), nn.BatchNorm1d(2), nn.Linear(2, 2))
    network[2].weight = network[0].weight
    average = gan.average_of(network)
    network[0].weight.data += 1
    network[1].running_mean += 4
    network[1].num_batches_tracked += 7
    before = average[0].weight.clone()
    gan.follow(average, network, 0.75)
    torch.testing.assert_close(average[0].weight, before + 0.25)
    assert average[1].running_mean.tolist() == [1, 1] and average[1].num_batches_tracked == 7


# ------------------------------------------------------------------------------- rates that fall


def rates_of(epochs, decay, lr=0.1):
    """Return both learning rates in each epoch of a training, and the two optimizers."""
    nets, seen = networks(), []
    optimizers = [torch.optim.SGD(n.parameters(), lr) for n in nets[1::-1]]
    train.fit_gan(
        *nets, batches(), epochs=epochs, decay=decay, d_loss=d_loss, g_loss=g_loss,
        d_optimizer=optimizers[0], g_optimizer=optimizers[1], progress=False,
        on_epoch=lambda row: seen.append([float(o.param_groups[0]["lr"]) for o in optimizers]),
    )  # fmt: skip
    return seen, optimizers


def test_both_rates_fall_in_a_straight_line_over_the_last_epochs():
    """Ten epochs, the last 40 % of them: six whole ones, then 4/4, 3/4, 2/4, 1/4 by hand."""
    seen, _ = rates_of(10, 0.4)
    expected = [0.1] * 6 + [0.1, 0.075, 0.05, 0.025]
    for ours, theirs in zip(seen, expected, strict=True):
        assert ours == pytest.approx([theirs, theirs], rel=1e-12)


@pytest.mark.parametrize(("epochs", "decay"), [(45, 0.35), (7, 0.5), (3, 0.9), (5, 0.0), (2, 0.1)])
def test_the_factor_is_the_line_through_one_and_zero(epochs, decay):
    """By interpolation between two points; only a line that begins later is cut off at 1."""
    import numpy as np

    for epoch in range(epochs):
        corners = [0, (1 - decay) * epochs, epochs + 1e-12], [1, 1, 0]
        assert gan.rate_factor(epoch, epochs, decay) == pytest.approx(np.interp(epoch, *corners))


def test_without_decay_the_rates_stay_to_the_bit():
    seen, _ = rates_of(3, 0.0, lr=0.1)
    assert seen == [[0.1, 0.1]] * 3


@pytest.mark.parametrize("dtype", [float, torch.float32])
def test_cut_while_the_rates_fall_it_ends_with_the_same_bits(tmp_path, dtype):
    """The rate that it began with is kept beside the one that has fallen, number or tensor."""

    def run(epochs, nets=None, lr=0.037, **options):
        nets = networks()
        runtime.seed_everything(1)
        rate = lr if dtype is float else torch.tensor(lr)
        opts = [torch.optim.Adam(n.parameters(), rate, fused=True) for n in nets[:2]]
        history = train.fit_gan(
            *nets, batches(), epochs=epochs, decay=0.75, d_loss=d_loss, g_loss=g_loss,
            g_optimizer=opts[0], d_optimizer=opts[1], progress=False, **options,
        )  # fmt: skip
        return nets, opts, history

    def stop(row):
        if row["epoch"] == 3:
            raise KeyboardInterrupt

    path = tmp_path / "checkpoint.safetensors"
    whole, whole_opts, history = run(4)
    with pytest.raises(train.Interrupted):
        run(4, checkpoint=path, on_epoch=stop)
    resumed, opts, joined = run(4, checkpoint=path, resume=True)
    assert [weights(n) for n in resumed] == [weights(n) for n in whole]
    assert joined == history
    for ours, theirs in zip(opts, whole_opts, strict=True):
        group, expected = ours.param_groups[0], theirs.param_groups[0]
        assert float(group["initial_lr"]) == float(expected["initial_lr"])
        assert float(group["lr"]) == float(expected["lr"]) < float(group["initial_lr"])


def test_a_rate_that_a_graph_has_captured_stays_where_it_is():
    rate = torch.tensor(0.5)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], rate, foreach=False)
    held = optimizer.param_groups[0]["lr"]
    for factor in (0.5, 0.25, 1.0):
        gan.scale_rate(optimizer, factor)
        assert optimizer.param_groups[0]["lr"] is held and held.item() == 0.5 * factor


@pytest.mark.parametrize("decay", [-0.1, 1.0, 35, math.nan])
def test_a_decay_that_is_no_share_is_refused(decay):
    with pytest.raises(CourseError, match="share of the epochs, from 0"):
        fitted(epochs=1, decay=decay)


# ---------------------------------------------------------------------------------- cut and resumed


def test_cut_after_two_of_four_epochs_it_ends_with_the_same_bits(tmp_path):
    options = {"norm": True, "r1": 0.1, "penalty_every": 3, "d_steps": 2, "val": batches(100)}
    whole, history = fitted(epochs=4, **options)
    path = tmp_path / "checkpoint.safetensors"
    fitted(epochs=2, checkpoint=path, **options)
    torch.manual_seed(77)
    resumed, joined = fitted(epochs=4, checkpoint=path, resume=True, **options)
    assert [weights(n) for n in resumed] == [weights(n) for n in whole]
    assert joined == history


def test_ctrl_c_keeps_finished_epochs(tmp_path):
    calls = []

    def interrupting(fake):
        calls.append(1)
        if len(calls) == 12:
            raise KeyboardInterrupt
        return g_loss(fake)

    path = tmp_path / "checkpoint.safetensors"
    with pytest.raises(train.Interrupted, match=r"2 finished epochs.*--resume"):
        fitted(epochs=5, g_loss=interrupting, checkpoint=path)
    whole, history = fitted(epochs=5)
    resumed, joined = fitted(epochs=5, checkpoint=path, resume=True)
    assert joined == history
    assert [weights(n) for n in resumed] == [weights(n) for n in whole]


def train_in(path, epochs):
    """Train in a process of its own, slowly enough to be killed anywhere."""
    tqdm.set_lock(threading.RLock())
    fitted(epochs, r1=0.1, checkpoint=path, resume=path.exists(),
           on_epoch=lambda row: time.sleep(0.02))  # fmt: skip


@pytest.mark.skipif(os.name != "posix", reason="forks as on POSIX systems")
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_killed_again_and_again_it_ends_with_the_same_bytes(tmp_path):
    fork, epochs = multiprocessing.get_context("fork"), 12
    cut, whole = tmp_path / "cut", tmp_path / "whole"
    kept = []
    for _ in range(4):
        process = fork.Process(target=train_in, args=(cut, epochs))
        process.start()
        seen, deadline = {stamp(cut)}, time.monotonic() + 60
        while process.is_alive() and time.monotonic() < deadline and len(seen) < 3:
            time.sleep(0.001)  # until it has kept two more epochs
            seen.add(stamp(cut))
        process.kill()
        process.join()
        kept.append(finished(cut))
    assert 0 < kept[0] <= kept[1] <= kept[2] < epochs, kept
    for path in (cut, whole):
        process = fork.Process(target=train_in, args=(path, epochs))
        process.start()
        process.join()
        assert process.exitcode == 0
    assert (cut.read_bytes() == whole.read_bytes()) is True, kept


def stamp(path):
    """Return when a file was written; 0 where there is none."""
    return path.stat().st_mtime_ns if path.exists() else 0


def finished(path):
    """Return how many epochs a checkpoint holds."""
    return len(checkpoint.load(path)[1]["history"]) if path.exists() else 0


# ------------------------------------------------------------------------------- when it goes wrong


def spoiled(which, after):
    """Return losses of which one becomes NaN after some calls."""
    calls = []

    def spoil(loss):
        def wrapped(*logits):
            calls.append(1)
            return loss(*logits) * (math.nan if len(calls) > after else 1)

        return wrapped

    return {which: spoil({"d_loss": d_loss, "g_loss": g_loss}[which])}


@pytest.mark.parametrize("which", ["d_loss", "g_loss"])
def test_a_loss_that_is_no_number_stops_the_training(which, tmp_path):
    path, good = tmp_path / "checkpoint", tmp_path / "good"
    fitted(epochs=1, checkpoint=good)
    with pytest.raises(train.Diverged, match=r"[dg] loss became nan in epoch 2"):
        fitted(epochs=5, checkpoint=path, **spoiled(which, after=7))
    assert path.read_bytes() == good.read_bytes()


def test_a_generator_spoiled_in_the_last_step_is_not_kept(tmp_path):
    path, calls = tmp_path / "checkpoint", []

    def slope_is_nan(fake):
        calls.append(1)
        loss = g_loss(fake)
        return loss if len(calls) < 10 else loss + (0 * fake[0]).square().sum().sqrt()

    with pytest.raises(train.Diverged, match="weights became NaN"):
        fitted(epochs=3, checkpoint=path, g_loss=slope_is_nan)
    assert finished(path) == 1

"""What chapter 06 writes out, networks, losses and the step, does what the package does."""

import math

import by_hand
import pytest
import torch

from course_utils import losses, runtime, train
from course_utils.data import Batches, plane
from course_utils.data.augment import nudged
from course_utils.models import gan, plane_gan

GAME, FACES = "06_gan_game", "06_gan_faces"
REMEDIES = {"d_step": 12, "follow": 7}  # lines at most
WANTED = ("perceptron", "PointGenerator", "PointDiscriminator", "as_dcgan", "Generator",
          "Discriminator", "d_loss", "g_loss", "steepness", "step",
          "smallest_game", "width_in_spots")  # fmt: skip
LINES = {"step": 16, "d_loss": 10, "g_loss": 10}  # at most; networks 25


@pytest.fixture(scope="module")
def written():
    """Return what the notebook defines, executed without the rest of it."""
    return by_hand.written(GAME, *WANTED)


@pytest.mark.parametrize("name", WANTED)
def test_it_is_short_enough_to_be_read(name):
    assert by_hand.length(by_hand.definitions(GAME)[name]) <= LINES.get(name, 25)


@pytest.mark.parametrize(
    ("name", "args", "package", "shape"),
    [
        ("PointGenerator", {}, plane_gan.PointGenerator, (5, 2)),
        ("PointDiscriminator", {"hidden_dim": 128}, plane_gan.PointDiscriminator, (5, 2)),
        ("Generator", {"width": 8}, gan.Generator, (5, 128)),
        ("Discriminator", {"width": 8}, gan.Discriminator, (5, 3, 64, 64)),
    ],
)
def test_the_networks_are_those_of_the_package(written, name, args, package, shape):
    """From the same seed the same weights, and of the same input the same output, to the bit."""
    made = []
    for build in (written[name], package):
        torch.manual_seed(3)
        made.append(build(**args))
    ours, theirs = made
    assert [v.tolist() for v in ours.state_dict().values()] == [
        v.tolist() for v in theirs.state_dict().values()
    ]
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    assert ours(x).equal(theirs(x))


def test_the_losses_are_those_of_the_package(written):
    real, fake = torch.randn(2, 9, generator=torch.Generator().manual_seed(2))
    assert written["d_loss"](real, fake).item() == pytest.approx(losses.logistic_d(real, fake))
    assert written["g_loss"](fake).item() == pytest.approx(losses.non_saturating_g(fake))
    zero = torch.zeros(3)
    assert written["d_loss"](zero, zero).item() == pytest.approx(2 * math.log(2))


@pytest.mark.parametrize(("kind", "r1"), [("points", 0.0), ("points", 3.0), ("faces", 0.0)])
def test_the_step_is_that_of_fit_gan(written, kind, r1):
    """One epoch of each from the same seed: the same weights, up to the last digits."""
    torch.manual_seed(5)
    if kind == "points":
        x, nets = torch.randn(96, 2), ("PointGenerator", "PointDiscriminator")
    else:
        x, nets = torch.rand(24, 3, 64, 64), ("Generator", "Discriminator")
    args = {} if kind == "points" else {"width": 4}
    batches = Batches(x, torch.zeros(len(x), dtype=torch.long), len(x) // 3)
    trained = []
    for ours in (True, False):
        runtime.seed_everything(0)
        g, d = (written[name](**args) for name in nets)
        average = gan_average(g)
        g_opt, d_opt = (torch.optim.Adam(n.parameters(), 1e-3, betas=(0.5, 0.99)) for n in (g, d))
        torch.manual_seed(1)
        if ours:
            for real, _ in batches:
                written["step"](g, d, g_opt, d_opt, real, r1)
        else:
            train.fit_gan(g, d, average, batches, epochs=1, d_loss=losses.logistic_d,
                          g_loss=losses.non_saturating_g, d_optimizer=d_opt, g_optimizer=g_opt,
                          r1=r1, penalty_every=1, progress=False)  # fmt: skip
        trained.append([*g.state_dict().items(), *d.state_dict().items()])
    for (name, ours), (_, theirs) in zip(*trained, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6, msg=name)


def test_the_smallest_game_circles_and_comes_to_rest_with_the_penalty(written):
    """The first steps by hand. log(1 - D) circles; -log D comes nearer slowly; R1 ends it."""
    play = written["smallest_game"]
    w = -0.1 * 0.5  # from w = 0 at x = 1: the slope of softplus(w x) in w is sigmoid(0)
    x = 1 - 0.1 * 0.05 / (1 + math.exp(-0.05))
    assert play(losses.non_saturating_g, 0.0, 2)[1].tolist() == pytest.approx([x, w], abs=1e-6)
    x = 1 - 0.1 * 0.05 / (1 + math.exp(0.05))
    assert play(losses.saturating_g, 0.0, 2)[1].tolist() == pytest.approx([x, w], abs=1e-6)
    circle = play(losses.saturating_g, 0.0).norm(dim=1)
    assert circle.min() > 0.9 and circle.max() < 1.1
    slow = play(losses.non_saturating_g, 0.0).norm(dim=1)
    assert 0.2 < slow[-1] < 0.5 and slow[250] - slow[-1] < slow[0] - slow[250]
    assert play(losses.non_saturating_g, 0.3)[-1].norm() < 0.01


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_the_width_of_spots_is_that_of_a_normal_distribution_cut_at_three_deviations(
    written, share
):
    x, spot = plane.spots_points(40_000, torch.Generator().manual_seed(4))
    x = plane.centres()[spot] + share * (x - plane.centres()[spot])
    cut = (3 / share) ** 2 / 2  # by the density of the squared distance, which is exponential
    wanted = share * plane.SPOT_WIDTH * math.sqrt(1 - cut / math.expm1(cut))
    assert written["width_in_spots"](x) == pytest.approx(wanted, rel=0.01)


@pytest.fixture(scope="module")
def remedies():
    """Return what the second notebook writes out: the step with R1, and the moving average."""
    for name, most in REMEDIES.items():
        assert by_hand.length(by_hand.definitions(FACES)[name]) <= most
    return by_hand.written(FACES, *REMEDIES)


def test_the_penalised_step_is_that_of_fit_gan(remedies):
    """The same weights after three steps on the same pictures, seen through the same shifts."""
    torch.manual_seed(5)
    images = torch.rand(3, 2, 6, 3, 64, 64) * 2 - 1  # steps, (real, fake)
    trained = []
    for ours in (True, False):
        torch.manual_seed(0)
        d = gan.Discriminator(4, "none")
        adam = torch.optim.Adam(d.parameters(), 1e-3, betas=(0.0, 0.99))
        see = nudged(2)
        torch.manual_seed(1)
        for real, fake in images.clone():
            if ours:
                remedies["d_step"](d, adam, real, fake, see, 3.0)
                continue
            loss = losses.logistic_d(says := d(see(real.requires_grad_())), d(see(fake)))
            loss = loss + 3.0 / 2 * losses.adversarial.squared_slope(says, real)
            adam.zero_grad()
            loss.backward()
            adam.step()
        trained.append(d.state_dict())
    for name, weights in trained[0].items():
        torch.testing.assert_close(weights, trained[1][name], rtol=1e-5, atol=1e-7)


def test_the_average_follows_as_in_the_package(remedies):
    torch.manual_seed(0)
    generator = gan.Generator(code_dim=8, width=4)
    ours, theirs = (train.gan.average_of(generator) for _ in range(2))
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.add_(torch.randn_like(parameter))
    generator.train()(torch.randn(8, 8))  # moves the running statistics too
    remedies["follow"](ours, generator, 0.9)
    train.gan.follow(theirs, generator, 0.9)
    for name, weights in theirs.state_dict().items():
        if weights.is_floating_point():
            torch.testing.assert_close(ours.state_dict()[name], weights, msg=name)
    assert not ours.state_dict()["layers.0.weight"].equal(generator.layers[0].weight)


def gan_average(generator):
    """Return the average that `fit_gan` asks for; nothing here looks at it."""
    return train.gan.average_of(generator)

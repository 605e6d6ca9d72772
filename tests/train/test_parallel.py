"""Two processes with half a batch each do what one does with the whole, for every loss.

The processes are forks that talk through gloo on this machine. Where a loss draws noise, both
sides are given the same: that of the whole batch, of which each process takes its own rows.
"""

import contextlib
import inspect
import multiprocessing
import os

import pytest
import torch
import torch.distributed as dist
from small_models import SHAPE
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.overrides import TorchFunctionMode

from course_utils import losses, models, train
from course_utils.data import Batches
from course_utils.runtime import CourseError
from course_utils.train import parallel

BATCH, CLASSES = 10, 4
WORLD = 2
pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="forks as on POSIX systems"),
    pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning"),
]


class CommonNoise(TorchFunctionMode):
    """Whatever is drawn for this process's part of a batch comes from a draw for the whole."""

    def __init__(self, rank=0, world=1, seed=0):
        super().__init__()
        self.rank, self.world = rank, world
        self.made = torch.Generator().manual_seed(seed)

    def rows(self, shape, draw):
        """Return this process's rows of what `draw` gives for the whole batch."""
        if not shape:  # one draw for the whole batch
            return draw(())
        own = BATCH // self.world
        axis = next(i for i, n in enumerate(shape) if n % own == 0 and n >= own and n != 1)
        each = shape[axis] // own  # rows of an image: several codes, for one
        whole = [n * self.world if i == axis else n for i, n in enumerate(shape)]
        return draw(whole).narrow(axis, self.rank * own * each, own * each)

    def uniform(self, shape):
        return self.rows(shape, lambda whole: torch.rand(whole, generator=self.made))

    def normal(self, shape):
        return self.rows(shape, lambda whole: torch.randn(whole, generator=self.made))

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if "generator" in kwargs:
            return function(*args, **kwargs)
        name = getattr(function, "__name__", "")
        if name in ("randn", "rand"):
            shape = args[0] if isinstance(args[0], (tuple, list, torch.Size)) else args
            return (self.normal if name == "randn" else self.uniform)(shape)
        if name in ("randn_like", "rand_like"):
            return (self.normal if name == "randn_like" else self.uniform)(args[0].shape)
        if name == "bernoulli":
            return (self.uniform(args[0].shape) < args[0]).float()
        if name == "randint":
            low, high, shape = args[:3]
            return (low + self.uniform(shape) * (high - low)).long()
        if name == "dropout":
            share = kwargs.get("p", args[1] if len(args) > 1 else 0.5)
            if not kwargs.get("training", args[2] if len(args) > 2 else True):
                return args[0]
            return args[0] * (self.uniform(args[0].shape) >= share) / (1 - share)
        if name in ("normal_", "bernoulli_", "uniform_", "multinomial", "randperm", "normal"):
            raise AssertionError(f"teach CommonNoise what {name} draws")
        return function(*args, **kwargs)


# ---------------------------------------------------------------------------------- what is trained


def ae():
    return models.Autoencoder(widths=(9,), code_dim=3, image_shape=SHAPE)


def vae(**options):
    return models.VAE(widths=(9,), code_dim=3, image_shape=SHAPE, **options)


def rbm():
    return models.RBM(7, SHAPE)


def cae():
    return models.ConditionalAutoencoder((9,), 3, CLASSES, image_shape=SHAPE)


def cvae():
    return models.ConditionalVAE((9,), 3, CLASSES, image_shape=SHAPE)


def mixture():
    return models.MixtureVAE(3, (9,), 3, CLASSES, image_shape=SHAPE)


def classifier():
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 9), nn.ReLU(), nn.Linear(9, CLASSES))


def factor_reader():
    pool = nn.AdaptiveAvgPool2d(4)
    return nn.Sequential(pool, nn.Flatten(), nn.Linear(16, 9), nn.Tanh(), nn.Linear(9, 2 + 3))


CASES = {  # name of the loss: (model, options), once or several times
    "reconstruction": [(ae, {})],
    "reconstruction_pm1": [(ae, {})],
    "masked_reconstruction": [(ae, {"masked": 0.3})],
    "cross_entropy_reconstruction": [(ae, {})],
    "sparse_reconstruction": [(ae, {"weight": 0.5})],
    "conditional_reconstruction": [(cae, {})],
    "denoising": [(ae, {"sigma": 0.2}), (ae, {"masked": 0.3})],
    "sparse_denoising": [(ae, {"sigma": 0.2, "activations": 0.1, "weights": 0.1})],
    "contrastive_divergence": [(rbm, {"steps": 2})],
    "negative_elbo": [
        (vae, {}),
        (vae, {"beta": 3.0, "binarise": True}),
        (vae, {"likelihood": "gaussian", "variance": 0.1}),
        (lambda: vae(learn_variance=True), {"likelihood": "gaussian"}),
    ],
    "conditional_negative_elbo": [(cvae, {"beta": 0.5})],
    "prior_negative_elbo": [(mixture, {})],
    "iwae_loss": [(vae, {"k": 3}), (vae, {"k": 2, "binarise": True})],
    "classification": [(classifier, {}), (classifier, {"shift": 1})],
    "smoothed_classification": [(classifier, {})],
    "one_against_rest": [(classifier, {})],
    "factor_reading": [(factor_reader, {"kinds": (3,)})],  # of faces: it looks at windows
}
EACH = [(name, i) for name, cases in CASES.items() for i in range(len(cases))]


def data(n=BATCH, name=""):
    """Return images (n, 1, 4, 4) in [0, 1] and labels (n,), or faces with their factors."""
    made = torch.Generator().manual_seed(3)
    if name == "factor_reading":  # two amounts and one of three kinds
        amounts = torch.rand(n, 2, generator=made)
        kinds = torch.randint(3, (n, 1), generator=made)
        return torch.rand(n, 1, 64, 64, generator=made), torch.cat([amounts, kinds], dim=1)
    return (torch.rand(n, *SHAPE, generator=made),
            torch.randint(CLASSES, (n,), generator=made))  # fmt: skip


def objective(name, i):
    """Return a new objective; the same weights in every process."""
    build, options = CASES[name][i]
    torch.manual_seed(0)
    return losses.Objective(build(), getattr(losses, name), **options)


def steps(module, rank=0, world=1, name=""):
    """Take three steps of SGD on this process's rows of a batch; return loss and weights."""
    x, y = (t.chunk(world)[rank] for t in data(name=name))
    optimizer = torch.optim.SGD(module.parameters(), 1e-3)
    found = []
    with CommonNoise(rank, world):
        for _ in range(3):
            terms = module(x, y)
            optimizer.zero_grad()
            terms["loss"].backward()
            optimizer.step()
            found.append(terms["loss"].detach())
    return torch.stack(found), torch.cat([p.detach().flatten() for p in module.parameters()])


# ------------------------------------------------------------------------------------ two processes


def in_two_processes(work, folder, *arguments):
    """Run `work(rank, *arguments)` in two processes that know each other; return both results."""
    fork = multiprocessing.get_context("fork")
    processes = [
        fork.Process(target=member, args=(rank, folder, work, arguments)) for rank in range(WORLD)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        if process.is_alive():
            process.kill()
            process.join()
    assert [p.exitcode for p in processes] == [0] * WORLD
    return [torch.load(folder / f"result{rank}", weights_only=True) for rank in range(WORLD)]


def member(rank, folder, work, arguments):
    """Join the group of processes, do the work, and leave its result in the folder."""
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    store = f"file://{folder / 'meeting'}"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=WORLD)
    try:
        torch.save(work(rank, *arguments), folder / f"result{rank}")
    finally:
        dist.destroy_process_group()


def every_loss(rank):
    """Take the steps of every loss in this process's share."""
    return {f"{name} {i}": steps(DistributedDataParallel(objective(name, i)), rank, WORLD, name)
            for name, i in EACH}  # fmt: skip


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """Return what two processes made of every loss."""
    return in_two_processes(every_loss, tmp_path_factory.mktemp("ddp"))


@pytest.mark.parametrize(("name", "i"), EACH)
def test_two_processes_are_one(shared, name, i):
    loss, weights = steps(objective(name, i), name=name)
    parts = [result[f"{name} {i}"] for result in shared]
    assert torch.equal(parts[0][1], parts[1][1])
    torch.testing.assert_close(parts[0][1], weights, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close((parts[0][0] + parts[1][0]) / 2, loss, rtol=1e-5, atol=1e-6)
    assert not torch.equal(parts[0][0], loss)


# It compares the codes of a batch in pairs, and a process sees the pairs of its own images alone.
OF_PAIRS = {"silent_negative_elbo"}


def test_every_loss_of_the_package_is_tried():
    trained = {
        name
        for name in losses.__all__
        if inspect.isfunction(function := getattr(losses, name))
        and list(inspect.signature(function).parameters)[:3] == ["model", "x", "y"]
    }
    assert set(CASES) == trained - OF_PAIRS
    for name in OF_PAIRS:
        assert "several processes" in inspect.getdoc(getattr(losses, name))


# ------------------------------------------------------------------------------------------- fit


def fitted(module, rank=0, world=1, epochs=3, **options):
    """Train a module that gives its own terms; return its history and weights."""
    x, y = data(40)
    train_batches = Batches(x, y, BATCH, seed=1, shuffle=True, rank=rank, world=world)
    val = Batches(x[:20], y[:20], 20, rank=rank, world=world)
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-3, fused=True)
    history = train.fit(module, None, train_batches, val, epochs=epochs, optimizer=optimizer,
                        progress=False, **options)  # fmt: skip
    return history, torch.cat([p.detach().flatten() for p in module.parameters()])


def fit_in_two(rank, folder):
    """Train whole, then in two goes; each process draws noise of its own."""
    path = folder / "checkpoint"

    def part(**options):
        module = DistributedDataParallel(objective("negative_elbo", 0))
        torch.manual_seed(10 + rank)
        return fitted(module, rank, WORLD, **options)

    plain = fitted(DistributedDataParallel(objective("reconstruction", 0)), rank, WORLD)
    whole = part(epochs=4)
    part(epochs=2, checkpoint=path)
    dist.barrier()
    torch.manual_seed(99)
    return plain, whole, part(epochs=4, checkpoint=path, resume=True)


def test_fit_in_two_processes_is_fit_in_one_and_resumes(tmp_path):
    (plain, whole, resumed), (plain_1, whole_1, resumed_1) = in_two_processes(
        fit_in_two, tmp_path, tmp_path
    )
    history, weights = fitted(objective("reconstruction", 0))
    torch.testing.assert_close(plain[1], weights, rtol=1e-4, atol=1e-6)
    for ours, theirs in zip(plain[0], history, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-5)
    assert plain[0] == plain_1[0] and whole[0] == whole_1[0]  # the same history in both
    assert torch.equal(resumed[1], whole[1]) and torch.equal(resumed_1[1], whole_1[1])
    assert resumed[0] == whole[0]
    alone = objective("negative_elbo", 0)
    with pytest.raises(CourseError, match="written by 2 processes, and here are 1"):
        fitted(alone, checkpoint=tmp_path / "checkpoint", resume=True)


def test_an_objective_is_its_model_and_loss(few):
    inside = objective("reconstruction", 0)
    history, weights = fitted(inside)
    model = objective("reconstruction", 0).model
    x, y = data(40)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    rows = train.fit(model, losses.reconstruction, Batches(x, y, BATCH, seed=1, shuffle=True),
                     Batches(x[:20], y[:20], 20), epochs=3, optimizer=optimizer,
                     progress=False)  # fmt: skip
    assert rows == history
    assert torch.equal(torch.cat([p.detach().flatten() for p in model.parameters()]), weights)


# ------------------------------------------------------------------------------------- batch norm


def normed():
    """Return an objective whose model has batch norm, over channels and over units."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 5),
        nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, CLASSES),
    )  # fmt: skip
    return losses.Objective(model, losses.classification)


def norm_in_two(rank):
    """Refuse plain batch norm, then train with the shared one; return weights and statistics."""
    with pytest.raises(CourseError, match=r"model\.1 is a BatchNorm2d.*share_batch_norm"):
        fitted(DistributedDataParallel(normed()), rank, WORLD)
    module = DistributedDataParallel(parallel.share_batch_norm(normed()))
    loss, weights = steps(module, rank, WORLD)
    return loss, weights, dict(module.module.named_buffers())


def test_shared_batch_norm_in_two_processes_is_plain_batch_norm_in_one(tmp_path):
    (loss, weights, buffers), other = in_two_processes(norm_in_two, tmp_path)
    alone = normed()
    expected_loss, expected = steps(alone)
    torch.testing.assert_close(weights, expected, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close((loss + other[0]) / 2, expected_loss, rtol=1e-5, atol=1e-6)
    for name, buffer in alone.named_buffers():
        torch.testing.assert_close(buffers[name], buffer, rtol=1e-5, atol=1e-6, msg=name)


def test_shared_batch_norm_alone_is_plain_batch_norm():
    plain, shared = normed(), parallel.share_batch_norm(normed())
    assert set(plain.state_dict()) == set(shared.state_dict())
    x, y = data()
    for _ in range(2):
        assert torch.equal(plain(x, y)["loss"], shared(x, y)["loss"])
        plain.eval(), shared.eval()
    with contextlib.suppress(StopIteration):
        next(m for m in shared.modules() if type(m) in (nn.BatchNorm1d, nn.BatchNorm2d))
        pytest.fail("a plain batch norm is left")

"""`course bench`: the course's training loop against the ordinary one, measured side by side.

Both train the same network from the same weights on the same batches in the same order. They take
turns, epoch by epoch, so that whatever else the machine does slows both; medians are compared. The
ordinary loop is the sources': a DataLoader that turns every image into a tensor by itself, an
optimizer that is not fused, and `.item()` at every step.

What the switches of a recipe were worth on two Xeon cores with AMX: in bf16 the MLP autoencoder
takes 2.8 instead of 2.0 ms per step, since its matrices are too small to repay the casts, and
channels_last means nothing without convolutions; so its recipes leave both off.
"""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import nn
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from torch.utils.flop_counter import FlopCounterMode
from tqdm.auto import tqdm

from course_utils import data, recipes, runtime, train
from course_utils.recipes.recipe import make_optimizer, make_schedule
from course_utils.runtime import CourseError

ROUNDS = 5  # epochs of each loop that are timed, after one to warm up
SEED = 0
MATMUL_SIDE = 2048
COLUMNS = {  # of the printed table: what it is called there, and how it is formatted
    "recipe": ("recipe", "{}"),
    "course_images_per_second": ("images/s", "{:,.0f}"),
    "ordinary_images_per_second": ("ordinary", "{:,.0f}"),
    "speedup_ratio": ("times", "{:.2f}"),
    "speedup_cpu_ratio": ("by CPU time", "{:.2f}"),
    "course_seconds_per_epoch": ("s/epoch", "{:.2f}"),
    "matmul_fraction": ("of matmul", "{:.1%}"),
    "loss_relative_difference": ("loss differs by", "{:.0e}"),
}


class OneByOne(TorchDataset):
    """Images turned into tensors one by one, as torchvision's MNIST with ToTensor does."""

    def __init__(self, split: data.Split):
        from torchvision.transforms import ToTensor

        self.split, self.transform = split, ToTensor()

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        from PIL import Image

        image = Image.fromarray(self.split.x[index, 0].numpy())
        return self.transform(image), int(self.split.y[index])


def ordinary_epoch(model, loss_fn, loader, optimizer, scheduler, device) -> float:
    """Make one pass as the sources do; return the mean loss over the images."""
    model.train()
    total, images = 0.0, 0
    for x, y in loader:
        x, y = x.to(device), y.to(device)
        loss = loss_fn(model, x, y)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        total += loss.item() * len(x)
        images += len(x)
    return total / images


@dataclass
class Contest:
    """Two loops in turn over the same batches; times and losses by loop, one per epoch."""

    recipe: recipes.Recipe
    settings: recipes.Settings
    batches: data.Batches
    split: data.Split
    device: torch.device
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    cpu_seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    losses: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        self.course = self.contestant(make_optimizer)
        self.ordinary = self.contestant(plain_optimizer)
        self.one_by_one = OneByOne(self.split)

    def contestant(self, optimizer_of: Callable) -> tuple:
        """Return a model from the common seed, with its optimizer and schedule."""
        runtime.seed_everything(SEED)
        channels_last = self.settings.channels_last and optimizer_of is make_optimizer
        memory_format = torch.channels_last if channels_last else torch.contiguous_format
        model = self.recipe.build().to(self.device, memory_format=memory_format)
        optimizer = optimizer_of(model, self.settings)
        return model, optimizer, make_schedule(optimizer, self.settings, len(self.batches))

    def round(self, epoch: int) -> None:
        """Let each loop make its pass `epoch`."""
        self.time("course", epoch, self.course_epoch)
        self.time("ordinary", epoch, self.ordinary_epoch)

    def time(self, loop: str, epoch: int, run: Callable[[int], float]) -> None:
        """Time one pass; what a loss draws at random is the same for both loops."""
        torch.manual_seed(epoch)
        started, cpu_started = time.perf_counter(), time.process_time()
        self.losses[loop].append(run(epoch))
        self.seconds[loop].append(time.perf_counter() - started)
        self.cpu_seconds[loop].append(time.process_time() - cpu_started)

    def course_epoch(self, epoch: int) -> float:
        """Make one pass with `train.train_epoch`; return the mean loss."""
        model, optimizer, schedule = self.course
        self.batches.epoch = epoch
        precision = runtime.precision_on(self.device, self.settings.precision)
        return train.train_epoch(
            model, self.recipe.loss_fn, self.batches, optimizer, schedule, precision, epoch
        )["loss"]

    def ordinary_epoch(self, epoch: int) -> float:
        """Make one pass with `ordinary_epoch`, in the same order; return the mean loss."""
        model, optimizer, schedule = self.ordinary
        loader = DataLoader(
            self.one_by_one,
            self.settings.batch_size,
            sampler=self.batches.order(epoch).tolist(),
            generator=torch.Generator(),  # its own: drawing from the common one would part us
        )
        return ordinary_epoch(model, self.recipe.loss_fn, loader, optimizer, schedule, self.device)


def plain_optimizer(model: nn.Module, settings: recipes.Settings) -> torch.optim.Optimizer:
    """Return the optimizer of the settings as it comes, not fused."""
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[settings.optimizer]
    return kind(model.parameters(), lr=settings.lr, weight_decay=settings.weight_decay)


def measure(
    name: str,
    device: str | None = None,
    rounds: int = ROUNDS,
    images: int | None = None,
    progress: bool | None = None,
) -> dict:
    """Time one recipe in the loop of the course and in the ordinary one.

    Args:
        name: of the recipe; its settings are those of the profile in use.
        device: "cpu", "cuda", ...; the best there is where None.
        rounds: epochs timed of each, after one more to warm up.
        images: in an epoch; the whole training split of the profile where None.
        progress: show a bar; None shows one in a terminal.

    Returns a flat record; `records` says what is in it. Raises CourseError for an unknown recipe
    or device, or rounds and images that are no whole numbers from 1.
    """
    if rounds < 1 or (images is not None and images < 1):
        raise CourseError(f"{rounds} rounds of {images} images measure nothing; give 1 or more")
    recipe, where = recipes.get(name), runtime.device(device)
    settings = replace(recipe.settings(), epochs=rounds + 1)  # a schedule ends with the contest
    dataset = recipe.data(profile=runtime.profile())
    split = dataset.train.head(images or len(dataset.train))
    batches = data.batches(split, settings.batch_size, where, SEED, shuffle=True)
    contest = Contest(recipe, settings, batches, split, where)
    rates = []
    hidden = None if progress is None else not progress
    for epoch in tqdm(range(rounds + 1), name, unit="round", disable=hidden, leave=False):
        contest.round(epoch)
        rates.append(matmul_rate(where))
    return summary(contest, rates, dataset)


def summary(contest: Contest, rates: list[float], dataset: data.Dataset) -> dict:
    """Return the record of a finished contest, its first epochs left out of the times."""
    seconds, cpu_seconds = medians(contest.seconds), medians(contest.cpu_seconds)
    images = len(contest.split)
    course, ordinary = (contest.losses[loop][0] for loop in ("course", "ordinary"))
    gflop = epoch_gflop(contest)
    matmul = statistics.median(rates)
    return {
        "recipe": contest.recipe.name,
        "data": dataset.name,
        "device": runtime.device_label(contest.device),
        "torch_version": torch.__version__,
        "batch_size_images": contest.settings.batch_size,
        "parameters_count": train.parameter_count(contest.course[0]),
        "images_per_epoch": images,
        "timed_epochs": len(contest.seconds["course"]) - 1,
        "course_seconds_per_epoch": round(seconds["course"], 4),
        "ordinary_seconds_per_epoch": round(seconds["ordinary"], 4),
        "course_images_per_second": round(images / seconds["course"]),
        "ordinary_images_per_second": round(images / seconds["ordinary"]),
        "speedup_ratio": round(seconds["ordinary"] / seconds["course"], 3),
        "speedup_cpu_ratio": round(cpu_seconds["ordinary"] / cpu_seconds["course"], 3),
        "course_loss_per_image": course,
        "ordinary_loss_per_image": ordinary,
        "loss_relative_difference": abs(course - ordinary) / abs(ordinary),
        "gflop_per_epoch": round(gflop, 3),
        "course_gflop_per_second": round(gflop / seconds["course"], 2),
        "matmul_gflop_per_second": round(matmul, 2),
        "matmul_fraction": round(gflop / seconds["course"] / matmul, 4),
        "mnist_load_seconds": load_seconds(),
    }


def medians(times: dict[str, list[float]]) -> dict[str, float]:
    """Return the median time of each loop, without its first epoch."""
    return {loop: statistics.median(each[1:]) for loop, each in times.items()}


def matmul_rate(device: torch.device, repeats: int = 3) -> float:
    """Return the GFLOP/s of this device in a float32 matrix product of 2048 x 2048."""
    a = torch.rand(MATMUL_SIDE, MATMUL_SIDE, device=device)
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        (a @ a)[0, 0].item()  # .item() waits for the device
        times.append(time.perf_counter() - started)
    return 2 * MATMUL_SIDE**3 / statistics.median(times) / 1e9


def epoch_gflop(contest: Contest) -> float:
    """Return the arithmetic of one epoch: matrix products and convolutions, forward and back."""
    model = contest.recipe.build().to(contest.device)
    x = data.as_float(contest.batches.x[: contest.settings.batch_size])
    y = contest.batches.y[: len(x)]
    with FlopCounterMode(display=False) as counter:
        contest.recipe.loss_fn(model, x, y)["loss"].backward()
    return counter.get_total_flops() / len(x) * len(contest.split) / 1e9


def load_seconds(repeats: int = 3) -> float | None:
    """Return how long MNIST takes from its files, checks included; None where they are absent.

    The best of a few: the first may wait for the disk.
    """
    folder = runtime.data_dir()
    if data.COLLECTIONS["mnist"].missing(folder):
        return None
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        data.COLLECTIONS["mnist"].read(folder)
        times.append(time.perf_counter() - started)
    return round(min(times), 3)


def records(names: list[str], **options) -> list[dict]:
    """Return one flat record per recipe, as `course bench --json FILE` writes them.

    Args:
        names: of recipes; "ae" alone where empty.
        options: device, rounds, images, progress: see `measure`.

    Keys say their units. `course_…` is the loop of the course, `ordinary_…` the sources'.

    * `…_seconds_per_epoch`, `…_images_per_second`: medians of wall-clock time.
    * `speedup_ratio`: ordinary over course, by wall clock; `speedup_cpu_ratio` by the CPU time of
      the process, which tells more on a machine that others use too (and nothing on a GPU).
    * `gflop_…`: 10^9 floating-point operations of matrix products and convolutions, forward and
      back; `matmul_fraction`: the course's rate as a part of this machine's in a large product.
    * `…_loss_per_image`: mean over the first epoch, in the recipe's own unit (later, differences
      in the last digit grow as they do between any two runs); `loss_relative_difference`:
      |course - ordinary| / |ordinary|.
    * `mnist_load_seconds`: MNIST read from its files and verified; null where they are absent.
    """
    for name in names:
        recipes.get(name)  # a misspelt name before any time is spent
    return [measure(name, **options) for name in names or ["ae"]]


def table(rows: list[dict], columns: dict[str, tuple[str, str]] = COLUMNS) -> str:
    """Return records as a table for people; `columns` says which keys, called what, and how."""
    cells = [[title for title, _ in columns.values()]]
    cells += [[shape.format(row[key]) for key, (_, shape) in columns.items()] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True))
        for line in cells
    )

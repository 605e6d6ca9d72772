"""What a graphics card must show of the course's training, in one go and under five minutes.

    python -m course_tools.gpu_check OUT                # on the best device there is
    python -m course_tools.gpu_check OUT --device cpu --small   # does the script run at all

It tries, on the device: that a training which was cut resumes to the same bits; which precision
"auto" means and what bf16 is worth; that recipes reach on the card what they reach on the
processor, within the spread of their seeds; what a step costs as usual and as a CUDA graph, and
that both give the same bits; and several seeds at once by torch.func.vmap. MNIST comes from
COURSE_DATA, or digits are drawn. A table is printed, and OUT/gpu_check.json holds it with the
machine and the versions. The exit status is 1 where something failed.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import functools
import itertools
import json
import os
import statistics
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import nn

from course_utils import console, data, folders, losses, provenance, runs, runtime, train
from course_utils.models import VAE, Autoencoder, ConvVAE
from course_utils.train import gan, graphs

SEEDS_AT_ONCE = 8
PARITY = {"ae": "test_sse", "vae": "test_loss"}  # recipe: the number compared


class Check:
    """Where it runs, with how much, and the rows found so far."""

    def __init__(self, device: torch.device, small: bool):
        self.device, self.small, self.rows = device, small, []
        self.cuda = device.type == "cuda"
        digits = data.mnist(profile="full" if real_digits() and not small else "quick")
        self.digits, self.split = digits, digits.train.head(1_000 if small else len(digits.train))

    def add(self, what: str, value, unit: str = "", ok: bool | None = None) -> None:
        """Keep and print a row; `ok` says whether a promise was kept, None where there is none."""
        self.rows.append({"what": what, "value": value, "unit": unit, "ok": ok})
        mark = {True: "✓", False: "✗", None: " "}[ok]
        shown = f"{value:,.4g}" if isinstance(value, float) else str(value)
        console.say(f"{mark} {what:<66} {shown:>14} {unit}")

    def batches(self, size: int = 128) -> data.Batches:
        """Return shuffled batches of the digits, full ones only."""
        return data.batches(self.split, size, self.device, seed=1, shuffle=True, drop_last=True)

    def adam(self, model: nn.Module, graph: bool = False, **options) -> torch.optim.Optimizer:
        """Return the optimizer of the course, as a graph wants it where one is to be captured."""
        capturable = {"capturable": True} if graph else {}
        return torch.optim.Adam(model.parameters(), fused=True, **capturable, **options)


def real_digits() -> bool:
    """Tell whether MNIST itself is there."""
    return bool(os.environ.get("COURSE_DATA")) and os.environ.get("COURSE_SOURCE") != "drawn"


def bits(*modules: nn.Module) -> list[torch.Tensor]:
    """Return all weights and buffers, on the CPU."""
    return [t.detach().cpu() for m in modules for t in m.state_dict().values()]


def equal(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    """Tell whether two lists of tensors agree bit for bit."""
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@contextlib.contextmanager
def deterministic() -> Iterator[None]:
    """Let cuDNN choose only convolutions that give the same bits again."""
    before = torch.backends.cudnn.deterministic
    torch.backends.cudnn.deterministic = True
    try:
        yield
    finally:
        torch.backends.cudnn.deterministic = before


# ------------------------------------------------------------------------------ one loss, and a GAN


def fit_once(
    check: Check, build: Callable, loss, epochs: int, graph=False, steady=False, **options
):
    """Train a new model; return it and the seconds of every epoch.

    `steady` makes the optimizer as a graph wants it, without a graph: the same arithmetic.
    """
    torch.manual_seed(0)
    model = build().to(check.device)
    if options.pop("channels_last", False):
        model = model.to(memory_format=torch.channels_last)
    optimizer = check.adam(model, graph or steady, lr=1e-3)
    torch.manual_seed(7)
    times = [time.perf_counter()]
    train.fit(model, loss, check.batches(), epochs=epochs, optimizer=optimizer, graph=graph,
              progress=False, on_epoch=lambda row: times.append(time.perf_counter()),
              **options)  # fmt: skip
    return model, [b - a for a, b in itertools.pairwise(times)]


class Generator(nn.Module):
    """Codes (B, 128) -> images (B, 3, 64, 64): a DCGAN, `width` channels wide."""

    code_dim = 128

    def __init__(self, width: int):
        super().__init__()
        sizes = [width, width, width // 2, width // 4, width // 8]
        layers: list[nn.Module] = [nn.ConvTranspose2d(self.code_dim, width, 4)]
        for i, o in itertools.pairwise(sizes):
            layers += [nn.BatchNorm2d(i), nn.LeakyReLU(0.2), nn.ConvTranspose2d(i, o, 4, 2, 1)]
        layers += [nn.BatchNorm2d(sizes[-1]), nn.LeakyReLU(0.2), nn.Conv2d(sizes[-1], 3, 3, 1, 1)]
        self.net = nn.Sequential(*layers)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.net(z[:, :, None, None]).tanh()


class Discriminator(nn.Module):
    """Images (B, 3, 64, 64) -> logits (B,)."""

    def __init__(self, width: int):
        super().__init__()
        sizes = [3, width // 8, width // 4, width // 2, width]
        pairs = itertools.pairwise(sizes)
        layers = [m for i, o in pairs for m in (nn.Conv2d(i, o, 4, 2, 1), nn.LeakyReLU(0.2))]
        self.net = nn.Sequential(*layers, nn.Flatten(), nn.Linear(16 * width, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x).squeeze(1)


def play_once(check: Check, epochs: int, graph=False, precision="bf16", steady=False, **options):
    """Train a new GAN on noise in the shape of faces; return networks, epochs' seconds, images."""
    width, n = (16, 128) if check.small else (192, 4096)
    torch.manual_seed(0)
    nets = [Generator(width), Discriminator(width)]
    maker, judge = (m.to(check.device, memory_format=torch.channels_last) for m in nets)
    average = gan.average_of(maker)
    images = torch.randint(256, (n, 3, 64, 64), dtype=torch.uint8)
    faces = data.Batches(images, torch.zeros(n).long(), 64, check.device, seed=1, shuffle=True)
    d_adam, g_adam = (check.adam(m, graph or steady, lr=2e-4, betas=(0.0, 0.99))
                      for m in (judge, maker))  # fmt: skip
    torch.manual_seed(7)
    times = [time.perf_counter()]
    train.fit_gan(maker, judge, average, faces, epochs=epochs, d_loss=losses.logistic_d,
                  g_loss=losses.non_saturating_g,
                  d_optimizer=d_adam, g_optimizer=g_adam, r1=0.1, prepare=gan.signed,
                  precision=precision, graph=graph, progress=False,
                  on_epoch=lambda row: times.append(time.perf_counter()), **options)  # fmt: skip
    return [maker, judge, average], [b - a for a, b in itertools.pairwise(times)], n


# ------------------------------------------------------------------------------------- the checks


def resume(check: Check) -> None:
    """Cut after two of four epochs and resumed: the same bits."""
    ways = {"fit": {}, "fit, bf16": {"precision": "bf16"}}
    if check.cuda:
        ways["fit, graph"] = {"graph": True}
    with tempfile.TemporaryDirectory() as folder, deterministic():
        for name, options in ways.items():
            path = Path(folder) / f"{name}.safetensors"
            vae = functools.partial(fit_once, check, VAE, losses.negative_elbo, **options)
            whole, _ = vae(epochs=4)
            vae(epochs=2, checkpoint=path)
            resumed, _ = vae(epochs=4, checkpoint=path, resume=True)
            check.add(f"resume {name}: same bits", ok := equal(bits(whole), bits(resumed)), ok=ok)
        path = Path(folder) / "gan.safetensors"
        whole, *_ = play_once(check, 4)
        play_once(check, 2, checkpoint=path)
        resumed, *_ = play_once(check, 4, checkpoint=path, resume=True)
        check.add("resume fit_gan, bf16, channels_last: same bits",
                  ok := equal(bits(*whole), bits(*resumed)), ok=ok)  # fmt: skip


def precision(check: Check) -> None:
    """What "auto" means here, and what bf16 is worth for a convolutional network."""
    check.add("precision auto", runtime.precision_on(check.device, "auto"))
    seconds = {}
    for kind in ("float32", "bf16"):
        _, times = fit_once(check, ConvVAE, losses.negative_elbo, epochs=2 if check.small else 4,
                            precision=kind, channels_last=True)  # fmt: skip
        seconds[kind] = statistics.median(times[1:])
        check.add(f"ConvVAE, batches of 128, {kind}", len(check.split) / seconds[kind], "images/s")
    check.add("bf16 over float32", seconds["float32"] / seconds["bf16"], "times")


def parity(check: Check) -> None:
    """A recipe reaches the same on both devices, within the spread of its seeds."""
    devices = ["cpu", check.device.type] if check.cuda else ["cpu"]
    for name, metric in PARITY.items():
        found = {}
        for where in devices:
            with tempfile.TemporaryDirectory() as folder:
                found[where] = [
                    runs.run(name, seed, "quick", where, Path(folder) / str(seed),
                             progress=False).metrics[metric]
                    for seed in range(1 if check.small else 3)
                ]  # fmt: skip
            check.add(f"recipe {name}, quick, {metric} on {where}", statistics.mean(found[where]))
        if check.cuda and not check.small:
            spread = max(statistics.stdev(values) for values in found.values())
            apart = abs(statistics.mean(found["cpu"]) - statistics.mean(found["cuda"]))
            check.add(f"recipe {name}: devices differ by", apart / spread, "sd of seeds",
                      ok=apart <= 3 * spread)  # fmt: skip


def captured(check: Check) -> None:
    """A step as usual and as a CUDA graph: images per second, and the same bits."""
    epochs = 2 if check.small else 5
    models = {
        "Autoencoder 784-128-64-12-3": (Autoencoder, losses.reconstruction, {}),
        "VAE 784-400-20": (VAE, losses.negative_elbo, {}),
        "ConvVAE, bf16": (ConvVAE, losses.negative_elbo,
                          {"precision": "bf16", "channels_last": True}),
    }  # fmt: skip
    for name, (build, loss, options) in models.items():
        rates = {}
        for graph in (False, True) if check.cuda else (False,):
            _, times = fit_once(check, build, loss, epochs, graph, **options)
            rates[graph] = len(check.split) / statistics.median(times[1:])
            way = "as a graph" if graph else "as usual"
            check.add(f"fit {name}, batches of 128, {way}", rates[graph], "images/s")
        if check.cuda:
            check.add(f"fit {name}: graph over usual", rates[True] / rates[False], "times")
            with deterministic():
                usual, _ = fit_once(check, build, loss, 2, steady=True, **options)
                replayed, _ = fit_once(check, build, loss, 2, graph=True, **options)
            check.add("... same bits", ok := equal(bits(usual), bits(replayed)), ok=ok)


def captured_gan(check: Check) -> None:
    """The same for a GAN of 64 x 64 images, batches of 64 and 64."""
    rates = {}
    for graph in (False, True) if check.cuda else (False,):
        _, times, n = play_once(check, 2 if check.small else 5, graph)
        rates[graph] = n / statistics.median(times[1:])
        way = "as a graph" if graph else "as usual"
        check.add(f"fit_gan, 64 x 64, bf16, {way}", rates[graph], "images/s")
    if check.cuda:
        check.add("fit_gan: graph over usual", rates[True] / rates[False], "times")
        with deterministic():
            usual, *_ = play_once(check, 1, steady=True)
            replayed, *_ = play_once(check, 1, graph=True)
        check.add("... same bits", ok := equal(bits(*usual), bits(*replayed)), ok=ok)


def seeds_at_once(check: Check) -> None:
    """Several seeds of a VAE in one step by vmap, against one after another."""
    k, size = SEEDS_AT_ONCE, 128
    _, alone = fit_once(check, VAE, losses.negative_elbo, epochs=3)
    for graph in (False, True) if check.cuda else (False,):
        torch.manual_seed(0)
        objectives = [losses.Objective(VAE(), losses.negative_elbo) for _ in range(k)]
        seconds, loss = many_seeds(check, objectives, size, graph)
        way = "vmap, as a graph" if graph else "vmap"
        check.add(f"{k} seeds of VAE, {way}: last mean loss", loss, "nats")
        check.add(f"{k} seeds of VAE, {way}: over one by one",
                  k * statistics.median(alone[1:]) / seconds, "times")  # fmt: skip


def many_seeds(check: Check, objectives, size: int, graph: bool) -> tuple[float, float]:
    """Train k objectives side by side; return the seconds of an epoch, and the mean loss.

    Their weights are stacked, (k, ...); each has its own order of the images and its own noise. The
    sum of their losses gives each its own gradient, and Adam works number by number.
    """
    stacked, _ = torch.func.stack_module_state(objectives)
    weights = {n: t.to(check.device).detach().requires_grad_() for n, t in stacked.items()}
    bare = copy.deepcopy(objectives[0]).to(check.device)
    adam = torch.optim.Adam(weights.values(), lr=1e-3, fused=True, capturable=graph)
    pixels = data.as_float(check.split.x.to(check.device))

    def loss_of(of: dict, x: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(bare, of, (x,))["loss"]

    def step(x: torch.Tensor) -> dict[str, torch.Tensor]:
        each = torch.func.vmap(loss_of, randomness="different")(weights, x)  # (k,)
        for weight in weights.values():
            weight.grad = None
        each.sum().backward()
        adam.step()
        return {"loss": each.mean()}

    step = graphs.Captured(step, adam) if graph else step
    seconds = []
    for epoch in range(3):
        made = torch.Generator().manual_seed(epoch)
        orders = [torch.randperm(len(pixels), generator=made) for _ in objectives]
        order = torch.stack(orders).to(check.device)  # (k, N)
        means, began = train.RunningMeans(), time.perf_counter()
        for i in range(len(pixels) // size):
            chosen = order[:, i * size : (i + 1) * size]
            means.add(step(pixels[chosen]), size)
        loss = means.mean("loss")  # waits for the device
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds[1:]), loss


CHECKS = (resume, precision, parity, captured, captured_gan, seeds_at_once)


@console.command
def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m course_tools.gpu_check", description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter)  # fmt: skip
    parser.add_argument("out", type=Path, help="folder for gpu_check.json")
    parser.add_argument("--device", help="cuda, cpu, ...; the best there is where left out")
    parser.add_argument("--small", action="store_true", help="hardly any work: does it run")
    parser.add_argument("--only", nargs="*", choices=[c.__name__ for c in CHECKS], metavar="CHECK")
    options = parser.parse_args(arguments)
    where = runtime.device(options.device)
    folders.make_folder(options.out)
    check = Check(where, options.small)
    record = {"device": provenance.device_label(where), "versions": runtime.versions(),
              "data": check.digits.name, "images": len(check.split), "seconds": {}}  # fmt: skip
    print(
        f"{record['device']}, torch {torch.__version__}, {len(check.split):,} {check.digits.name}"
    )
    for run_check in CHECKS:
        name, began = run_check.__name__, time.perf_counter()
        if options.only and name not in options.only:
            continue
        try:
            run_check(check)
        except Exception:  # the other checks are worth their time all the same
            traceback.print_exc()
            check.add(f"{name} ended with an error", traceback.format_exc(limit=-2), ok=False)
        record["seconds"][name] = round(time.perf_counter() - began, 1)
        record["rows"] = check.rows
        folders.write_atomically(
            options.out / "gpu_check.json", json.dumps(record, indent=1) + "\n"
        )
    print(f"{sum(record['seconds'].values()):.0f} s in all: {record['seconds']}")
    return int(any(row["ok"] is False for row in check.rows))


if __name__ == "__main__":
    raise SystemExit(main())

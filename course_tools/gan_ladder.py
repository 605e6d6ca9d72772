"""The GANs of chapter 06, side by side on one GPU.

    python -m course_tools.gan_ladder STAGE --faces FILE --out DIR --seconds N [--images N]

FILE holds faces of 64x64 as JPEGs (`pack`). Every network pair has a CUDA stream and two captured
graphs, a whole step with and without the gradient penalty, so that many small steps fill the GPU
together; `train.fit_gan` trains one pair at a time, so the steps are written here anew. Each is
trained until it has seen its number of images, or the seconds are over; then it is scored and its
samples, history and averaged generator go to DIR. Without a GPU the same steps run one after the
other, for trying the script.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import torch
import torch.nn.functional as F
from torch import nn

from course_utils.data.augment import diff_augment
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
                       r1=0.2, r2=0.2, lr_g=2e-4, lr_d=2e-4)  # fmt: skip
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


# ------------------------------------------------------------------------------ AE, VAE, VAE-GAN


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


# ---------------------------------------------------------------------------------------- playing


class Player:
    """One rung in training: networks, optimizers, random numbers, graphs and history."""

    def __init__(self, rung: Rung, train: torch.Tensor, held: torch.Tensor, seed: int):
        torch.manual_seed(seed)
        self.rung, self.train, self.held = rung, train, held
        self.device = train.device
        self.on_gpu = self.device.type == "cuda"
        place = dict(device=self.device, memory_format=torch.channels_last)
        self.whole = rung.generator().to(**place)  # the generator, or encoder and decoder
        self.g = self.whole.decoder if rung.kind != "gan" else self.whole
        self.d = rung.discriminator().to(**place) if rung.kind in ("gan", "vae_gan") else None
        self.average = copy.deepcopy(self.g).requires_grad_(False).eval()
        self.random = torch.Generator(self.device).manual_seed(seed)
        self.augment = diff_augment(rung.augment, self.random) if rung.augment else lambda x: x
        adam = dict(betas=rung.betas, capturable=self.on_gpu, fused=True)
        rates = (rung.lr_g, rung.lr_d)
        if self.on_gpu:
            rates = tuple(torch.tensor(rate, device=self.device) for rate in rates)
        self.rates = rates
        self.g_opt = torch.optim.Adam(self.whole.parameters(), lr=rates[0], **adam)
        self.d_opt = self.d and torch.optim.Adam(self.d.parameters(), lr=rates[1], **adam)
        self.decay = torch.tensor(0.0, device=self.device)
        self.noted = {k: torch.zeros((), device=self.device) for k in
                      ("d_loss", "g_loss", "real_score", "fake_score", "g_grad_norm")}  # fmt: skip
        self.steps, self.seconds, self.history, self.graphs, self.marks = 0, 0.0, [], {}, []
        self.stream = torch.cuda.Stream() if self.on_gpu else None
        # the same for all, and through time
        self.fixed = codes(64, 7, self.g.code_dim).to(self.device)
        self.strips: list[torch.Tensor] = []

    @property
    def seen(self) -> int:
        """Real images seen."""
        return self.steps * self.rung.batch[0] * self.rung.d_steps

    def cast(self):
        """bf16 where the device has it."""
        return torch.autocast(self.device.type, torch.bfloat16, cache_enabled=False)

    def real(self, n: int) -> torch.Tensor:
        chosen = torch.randint(len(self.train), (n,), device=self.device, generator=self.random)
        x = self.train.index_select(0, chosen).float().div_(255)
        x = 2 * x - 1 if self.rung.signed else x
        return x.contiguous(memory_format=torch.channels_last)

    def noise(self, n: int) -> torch.Tensor:
        return torch.randn(n, self.g.code_dim, device=self.device, generator=self.random)

    def made(self, n: int) -> torch.Tensor:
        with self.cast():
            return self.g(self.noise(n)).float()

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        with self.cast():
            return self.d(self.augment(x)).float()

    def note(self, **terms: torch.Tensor) -> None:
        for name, term in terms.items():
            self.noted[name].copy_(term.detach())

    def step(self, penalise: bool) -> None:
        """Make one whole step; what a graph captures."""
        if self.rung.kind == "gan":
            for _ in range(self.rung.d_steps):
                self.d_step(penalise)
            self.g_step()
        else:
            self.coder_step(penalise)
        self.follow()

    def d_step(self, penalise: bool) -> None:
        n_real, n_fake, _ = self.rung.batch
        with torch.no_grad():
            fake = self.made(n_fake)
        self.teach(self.real(n_real), fake, penalise)

    def teach(self, real: torch.Tensor, fake: torch.Tensor, penalise: bool) -> None:
        """One step of the discriminator."""
        rung = self.rung
        real, fake = (x.detach().requires_grad_(penalise) for x in (real, fake))
        on_real, on_fake = self.logits(real), self.logits(fake)
        loss = rung.losses[0](on_real, on_fake)
        total = loss
        for weight, logits, x in ((rung.r1, on_real, real), (rung.r2, on_fake, fake)):
            if penalise and weight:
                total = total + rung.every * weight / 2 * game.squared_slope(logits, x)
        self.d_opt.zero_grad(set_to_none=True)
        total.backward()
        self.d_opt.step()
        self.note(d_loss=loss, real_score=on_real.mean(), fake_score=on_fake.mean())

    def g_step(self) -> None:
        self.d.requires_grad_(False)
        loss = self.against(self.logits(self.made(self.rung.batch[2])), self.real)
        self.g_opt.zero_grad(set_to_none=True)
        loss.backward()
        self.d.requires_grad_(True)
        grads = [p.grad for p in self.whole.parameters() if p.grad is not None]
        norm = torch.stack(torch._foreach_norm(grads)).norm()
        self.g_opt.step()
        self.note(g_loss=loss, g_grad_norm=norm)

    def against(self, on_fake: torch.Tensor, real: Callable) -> torch.Tensor:
        """Return the generator's loss."""
        if self.rung.losses is not RELATIVISTIC:
            return self.rung.losses[1](on_fake)
        with torch.no_grad():
            on_real = self.logits(real(len(on_fake)))
        return self.rung.losses[1](on_fake, on_real)

    def coder_step(self, penalise: bool) -> None:
        """One step of an autoencoder, a VAE, or a VAE-GAN (Larsen et al. 2016)."""
        kind, x = self.rung.kind, self.real(self.rung.batch[0])
        with self.cast():
            mu, logvar = self.whole.encode(x)
            noise = torch.randn(mu.shape, device=self.device, generator=self.random)
            z = mu if kind == "ae" else mu + (logvar / 2).exp() * noise
            recon = self.g(z).float()
        squared = ((recon - x) / 2).square().sum((1, 2, 3)).mean()
        kl = 0.5 * (mu.square() + logvar.exp() - 1 - logvar).sum(1).mean()
        if kind == "ae":
            loss = squared
        elif kind == "vae":
            loss = squared / (2 * self.rung.extra["sigma"] ** 2) + kl
        else:
            made = self.made(len(x))
            self.teach(x, torch.cat([recon, made])[::2].detach(), penalise)
            self.d.requires_grad_(False)
            with self.cast():
                like = F.mse_loss(
                    self.d.features(recon).float(), self.d.features(x).float().detach()
                )
            fooled = game.non_saturating_g(self.logits(torch.cat([recon, made])))
            loss = squared / (2 * 0.2**2) + kl + 300 * like + 30 * fooled
        self.g_opt.zero_grad(set_to_none=True)
        loss.backward()
        if self.d is not None:
            self.d.requires_grad_(True)
        self.g_opt.step()
        self.note(g_loss=loss)
        if kind != "vae_gan":
            self.note(d_loss=squared, real_score=kl)

    @torch.no_grad()
    def follow(self) -> None:
        """Move the average towards the generator."""
        ours = [t for t in self.average.state_dict().values() if t.is_floating_point()]
        theirs = [t for t in self.g.state_dict().values() if t.is_floating_point()]
        torch._foreach_lerp_(ours, theirs, 1 - self.keep())

    def keep(self):
        n = self.rung.batch[0] * self.rung.d_steps
        half_life = min(self.rung.half_life, 0.05 * self.rung.images)
        return 0.5 ** (n / half_life)

    # ------------------------------------------------------------------------------------- graphs

    def capture(self) -> None:
        """Capture the step, with and without the penalty, after some steps to warm up."""
        modes = (False, True) if self.rung.r1 or self.rung.r2 else (False,)
        with torch.cuda.stream(self.stream):
            for mode in modes * 2:
                self.step(mode)
                self.steps += 1
        torch.cuda.synchronize()
        for mode in modes:
            graph = torch.cuda.CUDAGraph()
            graph.register_generator_state(self.random)
            with torch.cuda.graph(graph, stream=self.stream):
                self.step(mode)
            self.graphs[mode] = graph
        torch.cuda.synchronize()

    def go(self) -> None:
        """Make the next step."""
        penalise = bool(self.rung.r1 or self.rung.r2) and self.steps % self.rung.every == 0
        if self.rung.decay and self.steps % 50 == 0:
            self.set_rates()
        if self.graphs:
            with torch.cuda.stream(self.stream):
                self.graphs[penalise].replay()
                mark = torch.cuda.Event()
                mark.record()
                self.marks.append(mark)
        else:
            with torch.cuda.stream(self.stream) if self.stream else nullcontext():
                self.step(penalise)
        self.steps += 1

    def set_rates(self, done: float | None = None) -> None:
        """Let the learning rates fall over the last part of the training."""
        done = self.progress if done is None else done
        factor = min(1.0, max(0.02, (1 - done) / self.rung.decay))
        for opt, rate in ((self.g_opt, self.rung.lr_g), (self.d_opt, self.rung.lr_d)):
            for group in opt.param_groups if opt else []:
                if isinstance(group["lr"], torch.Tensor):
                    with torch.cuda.stream(self.stream):
                        group["lr"].fill_(rate * factor)
                else:
                    group["lr"] = rate * factor

    progress = 0.0

    def ready(self) -> bool:
        """Tell whether the stream has few steps waiting."""
        while self.marks and self.marks[0].query():
            self.marks.pop(0)
        return len(self.marks) < 6

    # ------------------------------------------------------------------------------------ looking

    @torch.no_grad()
    def samples(self, n: int, which: str = "average", seed: int = 1) -> torch.Tensor:
        """Return n samples (n, 3, 64, 64) uint8."""
        net = self.average if which == "average" else self.g
        was = net.training
        net.eval()
        z = codes(n, seed, self.g.code_dim).to(self.device)
        z = self.fixed if n == 64 else z
        with torch.cuda.stream(self.stream) if self.stream else nullcontext():
            parts = [bytes_of(net(part)) for part in z.split(500)]
        if self.stream:
            self.stream.synchronize()
        net.train(was)
        return torch.cat(parts)

    def look(self, started: float, judge) -> None:
        """Add a row to the history and a strip of samples."""
        if self.stream:
            self.stream.synchronize()
        row = {"images": self.seen, "seconds": round(time.perf_counter() - started, 1)}
        row |= {name: round(float(value), 4) for name, value in self.noted.items()}
        if self.rung.kind == "gan":
            with torch.no_grad():
                self.d.eval()
                for name, faces in (("train_score", self.train[:500]), ("held_score", self.held)):
                    x = faces[:500].float() / 255
                    x = x * 2 - 1 if self.rung.signed else x
                    row[name] = round(float(self.logits(x).mean()), 4)
                self.d.train()
        if judge is not None:
            row["FD"] = judge.quick(self.samples(2500))
        self.history.append(row)
        self.strips.append(self.samples(64)[:8].cpu())


def codes(n: int, seed: int, size: int = 128) -> torch.Tensor:
    """Return the codes (n, size) that every rung is asked for."""
    return torch.randn(n, size, generator=torch.Generator().manual_seed(seed))


def bytes_of(x: torch.Tensor) -> torch.Tensor:
    """Turn images in [-1, 1] into uint8."""
    return ((x.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


# ----------------------------------------------------------------------------------------- judging


class Judge:
    """Scores samples against held-out people, on the face referees' features."""

    def __init__(self, folder: Path | None, held: torch.Tensor, train: torch.Tensor):
        from safetensors.torch import load_file

        from course_utils.recipes import face_referee

        self.device, self.held, self.train = held.device, held.cpu(), train.cpu()
        self.nets = {}
        for name in ("face_referee", "face_referee_2"):
            if folder is None:
                net = copy.deepcopy(face_referee.load_face_referee(name))
            else:
                net = next(r for r in face_referee.RECIPES if r.name == name).build().eval()
                kept = load_file(folder / f"{name}.safetensors")
                floats = {k: v.float() if v.is_floating_point() else v for k, v in kept.items()}
                net.load_state_dict(floats)
            self.nets[name] = net.to(held.device)
        self.real = {name: self.features(name, held) for name in self.nets}

    @torch.no_grad()
    def features(self, name: str, x: torch.Tensor) -> torch.Tensor:
        net = self.nets[name]
        return torch.cat([net.features(p.float() / 255) for p in x.split(1000)]).cpu()

    def quick(self, x: torch.Tensor) -> float:
        from course_utils import metrics

        fd = metrics.frechet_distance(self.real["face_referee"], self.features("face_referee", x))
        return round(fd, 4)

    def floor(self) -> dict:
        """Return what real faces score, of people that the networks learnt from."""
        order = torch.randperm(len(self.train), generator=torch.Generator().manual_seed(0))
        return self.scores(self.train[order[: len(self.held)]].to(self.device))

    def scores(self, x: torch.Tensor) -> dict:
        """Return FD on both referees, precision, recall, of as many samples as held-out faces."""
        from course_utils import metrics

        x = x[: len(self.held)]
        row = {}
        for name, real in self.real.items():
            fake = self.features(name, x)
            row[f"FD-{name}"] = round(metrics.frechet_distance(real, fake), 4)
            if name == "face_referee":
                pr = metrics.precision_recall(real, fake, 5)
                row |= {"precision": round(pr.precision, 4), "recall": round(pr.recall, 4)}
        row["sharpness"] = round(metrics.sharpness(x[:1000].cpu()), 4)
        return row


# ------------------------------------------------------------------------------------------ running


def faces(path: Path, device) -> tuple[torch.Tensor, torch.Tensor]:
    """Return training and held-out faces (N, 3, 64, 64) uint8 of a packed file."""
    from concurrent.futures import ThreadPoolExecutor

    from safetensors.torch import load_file
    from torchvision.io import decode_jpeg

    from course_utils.data.lfw import by_person

    packed = load_file(path)
    ends = packed["offsets"].tolist()
    blobs = [packed["jpeg"][a:b].clone() for a, b in pairwise(ends)]
    with ThreadPoolExecutor(8) as pool:
        x = torch.stack(list(pool.map(decode_jpeg, blobs)))
    person = packed["person"]
    train, val, test = by_person(person, int(person.max()) + 1)
    return x[train].to(device), x[torch.cat([val, test])].to(device)


def run(rungs: list[Rung], args) -> list[Player]:
    """Train all rungs side by side until each has seen its images, or the time is over."""
    started = time.perf_counter()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cudnn.benchmark = args.benchmark
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    train, held = faces(args.faces, device)
    print(f"{len(train)} + {len(held)} faces at {time.perf_counter() - started:.1f} s", flush=True)
    players = []
    for i, rung in enumerate(rungs):
        if args.images:
            rung = replace(rung, images=args.images)
        player = Player(rung, train, held, seed=args.seed + i)
        if device.type == "cuda":
            try:
                player.capture()
            except Exception as error:
                print(f"{rung.name}: no graph ({error})", flush=True)
                torch.cuda.synchronize()
                player = Player(rung, train, held, seed=args.seed + i)
        players.append(player)
        print(f"{rung.name} ready at {time.perf_counter() - started:.1f} s", flush=True)
    play(players, args, started, None)
    waited = time.perf_counter()
    while args.referees and time.perf_counter() < waited + 20 and not (
        args.referees / "face_referee_2.safetensors").exists():  # fmt: skip
        time.sleep(0.5)
    try:
        judge = Judge(args.referees, held, train)
    except Exception as error:  # scores can be had later, from the weights
        print("no judge:", error)
        judge = None
    if judge is not None:
        args.floor = judge.floor()
        print("training faces against held-out people:", args.floor, flush=True)
    finish(players, args, started, judge)
    return players


def play(players: list[Player], args, started: float, judge) -> None:
    """Let all players make their steps, and look at each now and then."""
    reserve = args.reserve
    looks = {id(p): 0 for p in players}
    begun = time.perf_counter()
    while True:
        now = time.perf_counter()
        left = args.seconds - reserve - (now - started)
        active = [p for p in players if p.seen < p.rung.images]
        if left <= 0 or not active:
            break
        idle = True
        for p in active:
            if not p.ready():
                continue
            idle = False
            playing = args.seconds - reserve - (begun - started)
            p.progress = max(p.seen / p.rung.images, (now - begun) / playing)
            for _ in range(p.rung.share):
                p.go()
            p.seconds = time.perf_counter() - begun
            if p.seen >= LOOKS[min(looks[id(p)], len(LOOKS) - 1)] and looks[id(p)] < len(LOOKS):
                looks[id(p)] += 1
                p.look(started, judge)
        if idle:
            time.sleep(0.0002)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    print(f"played for {time.perf_counter() - begun:.1f} s", flush=True)


LOOKS = (5_000, 20_000, 50_000, 100_000, 200_000, 400_000, 1_000_000, 2_000_000, 3_000_000,
         4_000_000, 6_000_000)  # fmt: skip


def finish(players: list[Player], args, started: float, judge) -> None:
    """Write sheets, weights and histories of all players, then score them, the first ones first."""
    args.out.mkdir(parents=True, exist_ok=True)
    records = {p.rung.name: kept(p, args, started) for p in players}
    write_records(records, args)
    print(f"sheets and weights at {time.perf_counter() - started:.1f} s", flush=True)
    for p in players if judge is not None else []:
        compared = p.rung.name in ("dcgan", "augmented", "final")
        record = records[p.rung.name]
        for which in ("average", "last") if compared else ("average",):
            record[which] = judge.scores(p.samples(len(judge.held), which))
        if p.rung.kind != "gan":
            record["repeated"] = judge.scores(p.repeated)
            record["fitted"] = judge.scores(p.fitted)
        write_records(records, args)
        print(p.rung.name, p.seen, record["seconds"], record["average"], record.get("last"),
              flush=True)  # fmt: skip
    print(f"done at {time.perf_counter() - started:.1f} s", flush=True)


def kept(p: Player, args, started: float) -> dict:
    """Write a player's sheets and, where asked for, its weights; return its record."""
    from safetensors.torch import save_file

    name, out = p.rung.name, args.out
    p.look(started, None)
    record = {"says": p.rung.says, "images": p.seen, "seconds": round(p.seconds, 1),
              "steps": p.steps, "graph": bool(p.graphs), "history": p.history,
              "parameters": sum(q.numel() for q in p.g.parameters())}  # fmt: skip
    sheet(p.samples(64), out / f"{name}-average.jpg")
    sheet(p.samples(64, "last")[:32], out / f"{name}-last.jpg", quality=80)
    sheet(torch.cat(p.strips), out / f"{name}-strips.jpg", quality=80)
    if p.rung.kind != "gan":
        sheet(reconstructions(p), out / f"{name}-recon.jpg")
        record["reconstruction"] = p.recon_error
    if name in args.keep:
        state = p.average.state_dict()
        if p.rung.kind != "gan":
            state |= {f"whole.{k}": v for k, v in p.whole.state_dict().items()
                      if not k.startswith("decoder")}  # fmt: skip
        half = {k: v.half().cpu().contiguous() for k, v in state.items() if v.is_floating_point()}
        save_file(half, out / f"{name}.safetensors")
    return record


def write_records(records: dict, args) -> None:
    """Write all records to the folder."""
    found = about() | {"floor": getattr(args, "floor", None), "rungs": records}
    (args.out / "records.json").write_text(json.dumps(found, indent=1), encoding="utf-8")


@torch.no_grad()
def reconstructions(p: Player) -> torch.Tensor:
    """Return eight held-out faces above what the coder makes of them, as uint8.

    Keeps what it makes of all of them, and of codes from the normal distribution that fits the
    codes of the training faces.
    """
    p.whole.eval()
    coded = [p.whole.encode(as_signed(x))[0] for x in p.held.split(250)]
    p.repeated = torch.cat([bytes_of(p.g(z)) for z in coded])
    difference = (p.repeated.float() - p.held.float()) / 255
    p.recon_error = float(difference.square().sum((1, 2, 3)).mean())
    z = torch.cat([p.whole.encode(as_signed(x))[0] for x in p.train[:8000].split(250)]).cpu()
    normal = torch.distributions.MultivariateNormal(
        z.mean(0), z.T.cov() + 1e-4 * torch.eye(z.shape[1])
    )
    torch.manual_seed(0)
    drawn = normal.sample((len(p.held),)).to(p.device)
    p.fitted = torch.cat([bytes_of(p.g(part)) for part in drawn.split(250)])
    p.whole.train()
    return torch.cat([p.held[:8], p.repeated[:8], p.fitted[:8]])


def as_signed(x: torch.Tensor) -> torch.Tensor:
    """Turn uint8 images into floats in [-1, 1]."""
    return x.float() / 127.5 - 1


def sheet(x: torch.Tensor, file: Path | BinaryIO, quality: int = 92) -> None:
    """Write images (N, 3, 64, 64) uint8 as a JPEG sheet of eight columns, whole rows alone."""
    from PIL import Image

    x = x[: len(x) // 8 * 8].cpu()
    rows = x.reshape(-1, 8, 3, 64, 64).permute(0, 3, 1, 4, 2).reshape(-1, 512, 3)
    Image.fromarray(rows.contiguous().numpy()).save(file, "JPEG", quality=quality, subsampling=0)


def about() -> dict:
    """Return device and versions."""
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    return {"device": name, "torch": torch.__version__}


def stage(name: str, width: int) -> list[Rung]:
    """Return the rungs of a stage."""
    if name == "all":
        small = [rung for rung in ladder(width) if rung.name != "residual"]
        return [final(), *small, *coders(width), *source_faults(), *provoked(width)]
    if name == "try":
        return ladder(width)[-1:]
    raise SystemExit(f"stage {name!r} is unknown")


def main(words: list[str] | None = None) -> None:
    """Train a stage."""
    parser = argparse.ArgumentParser()
    parser.add_argument("stage")
    parser.add_argument("--faces", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--reserve", type=float, default=15, help="seconds to score and write")
    parser.add_argument("--referees", type=Path, help="folder of the judges' weights")
    parser.add_argument("--images", type=int, default=0)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--benchmark", action="store_true", help="let cuDNN try its kernels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--keep", nargs="*", default=[])
    args = parser.parse_args(words)
    rungs = stage(args.stage, args.width)
    run([r for r in rungs if not args.only or r.name in args.only], args)


if __name__ == "__main__":
    main()

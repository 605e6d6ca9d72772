"""A rung in training: a whole step of its networks, as it is or as a captured graph."""

from __future__ import annotations

import copy
import time
from contextlib import nullcontext

import torch
import torch.nn.functional as F

from course_tools.gan_ladder.pictures import bytes_of, codes
from course_tools.gan_ladder.rungs import RELATIVISTIC, Rung
from course_utils.data.augment import diff_augment
from course_utils.losses import adversarial as game


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
        self.g_opt = torch.optim.Adam(self.whole.parameters(), lr=rates[0], **adam)
        self.d_opt = self.d and torch.optim.Adam(self.d.parameters(), lr=rates[1], **adam)
        self.noted = {k: torch.zeros((), device=self.device) for k in
                      ("d_loss", "g_loss", "real_score", "fake_score", "g_grad_norm")}  # fmt: skip
        self.penalised = bool(rung.r1 or rung.r2)
        self.steps, self.seconds, self.progress = 0, 0.0, 0.0  # progress: from 0 to 1, the end
        self.history, self.graphs, self.marks = [], {}, []
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
        loss = self.against(self.logits(self.made(self.rung.batch[2])))
        self.g_opt.zero_grad(set_to_none=True)
        loss.backward()
        self.d.requires_grad_(True)
        grads = [p.grad for p in self.whole.parameters() if p.grad is not None]
        norm = torch.stack(torch._foreach_norm(grads)).norm()
        self.g_opt.step()
        self.note(g_loss=loss, g_grad_norm=norm)

    def against(self, on_fake: torch.Tensor) -> torch.Tensor:
        """Return the generator's loss."""
        if self.rung.losses is not RELATIVISTIC:
            return self.rung.losses[1](on_fake)
        with torch.no_grad():
            on_real = self.logits(self.real(len(on_fake)))
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

    def keep(self) -> float:
        """Return the share of the average that a step leaves."""
        n = self.rung.batch[0] * self.rung.d_steps
        half_life = min(self.rung.half_life, 0.05 * self.rung.images)
        return 0.5 ** (n / half_life)

    # ------------------------------------------------------------------------------------- graphs

    def capture(self) -> None:
        """Capture the step, with and without the penalty, after some steps to warm up."""
        modes = (False, True) if self.penalised else (False,)
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
        penalise = self.penalised and self.steps % self.rung.every == 0
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

    def set_rates(self) -> None:
        """Let the learning rates fall over the last part of the training."""
        factor = min(1.0, max(0.02, (1 - self.progress) / self.rung.decay))
        for opt, rate in ((self.g_opt, self.rung.lr_g), (self.d_opt, self.rung.lr_d)):
            for group in opt.param_groups if opt else []:
                if isinstance(group["lr"], torch.Tensor):
                    with torch.cuda.stream(self.stream):
                        group["lr"].fill_(rate * factor)
                else:
                    group["lr"] = rate * factor

    def ready(self) -> bool:
        """Tell whether the stream has few steps waiting."""
        while self.marks and self.marks[0].query():
            self.marks.pop(0)
        return len(self.marks) < 6

    # ------------------------------------------------------------------------------------ looking

    @torch.no_grad()
    def samples(self, n: int, which: str = "average") -> torch.Tensor:
        """Return n samples (n, 3, 64, 64) uint8: 64 of the fixed codes, or n of others."""
        net = self.average if which == "average" else self.g
        was = net.training
        net.eval()
        z = self.fixed
        if n != len(z):
            z = codes(n, 1, self.g.code_dim).to(self.device)
        with torch.cuda.stream(self.stream) if self.stream else nullcontext():
            parts = [bytes_of(net(part)) for part in z.split(500)]
        if self.stream:
            self.stream.synchronize()
        net.train(was)
        return torch.cat(parts)

    def look(self, started: float) -> None:
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
        self.history.append(row)
        self.strips.append(self.samples(64)[:8].cpu())

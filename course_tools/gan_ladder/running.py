"""All rungs side by side: train them, keep what they made, score it."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import torch

from course_tools.gan_ladder import pictures
from course_tools.gan_ladder.judging import Judge
from course_tools.gan_ladder.packing import unpack
from course_tools.gan_ladder.player import Player
from course_tools.gan_ladder.rungs import Rung
from course_utils import folders

# real images seen, after which a rung's losses and samples are looked at
LOOKS = (5_000, 20_000, 50_000, 100_000, 200_000, 400_000, 1_000_000, 2_000_000, 3_000_000,
         4_000_000, 6_000_000)  # fmt: skip
COMPARED = ("dcgan", "augmented", "final")  # rungs whose last weights are scored beside the average


@dataclass(frozen=True)
class Terms:
    """What all rungs of a run share.

    Attributes:
        faces: the packed file.
        out: folder of sheets, weights and records.json.
        seconds: for everything; `reserve` of them for scoring and writing.
        images: real images that each rung sees; 0 leaves it to the rung.
        seed: of the first rung; the next ones follow.
        keep: names of the rungs whose weights are written.
        benchmark: whether cuDNN tries its kernels.
    """

    faces: Path
    out: Path
    seconds: float = 60
    reserve: float = 15
    images: int = 0
    seed: int = 0
    keep: tuple[str, ...] = ()
    benchmark: bool = False


class Coded(NamedTuple):
    """What a coder makes of faces, (N, 3, 64, 64) uint8, as many as are held out.

    Attributes:
        repeated: of the held-out faces.
        fitted: of codes from the normal distribution that fits the codes of the training faces.
        error: squared, of a repeated face on [0, 1].
    """

    repeated: torch.Tensor
    fitted: torch.Tensor
    error: float


def run(rungs: list[Rung], terms: Terms) -> dict:
    """Train all rungs side by side until each has seen its images, or the time is over.

    Returns what is written to records.json.
    """
    started = time.perf_counter()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cudnn.benchmark = terms.benchmark
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    train, held = unpack(terms.faces, device)
    folders.make_folder(terms.out)
    players = []
    for i, rung in enumerate(rungs):
        rung = replace(rung, images=terms.images or rung.images)
        players.append(ready(rung, train, held, terms.seed + i))
        say(started, f"{rung.name} is ready")
    judge = Judge(held, train)
    play(players, terms, started, judge)
    return finish(players, terms, started, judge)


def ready(rung: Rung, train: torch.Tensor, held: torch.Tensor, seed: int) -> Player:
    """Return a player of the rung; with graphs, where a card can capture its step."""
    player = Player(rung, train, held, seed)
    if not player.on_gpu:
        return player
    try:
        player.capture()
    except RuntimeError as error:
        print(f"{rung.name}: no graph ({error})", flush=True)
        torch.cuda.synchronize()
        return Player(rung, train, held, seed)  # the steps of the warm-up are forgotten
    return player


def say(started: float, what: str) -> None:
    """Print a line with the seconds since the start."""
    print(f"{time.perf_counter() - started:7.1f} s  {what}", flush=True)


def look(player: Player, judge: Judge, started: float) -> None:
    """Add a row to a player's history, with the FD of its average: scores over images seen."""
    player.look(started)
    player.history[-1]["FD"] = judge.frechet(player.samples(len(judge.held)))


def play(players: list[Player], terms: Terms, started: float, judge: Judge) -> None:
    """Let all players make their steps, and look at each now and then."""
    begun = time.perf_counter()
    playing = terms.seconds - terms.reserve - (begun - started)
    while True:
        elapsed = time.perf_counter() - begun
        active = [p for p in players if p.seen < p.rung.images]
        if elapsed >= playing or not active:
            break
        waiting = [p for p in active if p.ready()]
        for p in waiting:
            p.progress = max(p.seen / p.rung.images, elapsed / playing)
            for _ in range(p.rung.share):
                p.go()
            p.seconds = time.perf_counter() - begun
            looked = len(p.history)  # each look is a row of it
            if looked < len(LOOKS) and p.seen >= LOOKS[looked]:
                look(p, judge, started)
        if not waiting:
            time.sleep(0.0002)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    say(started, f"played for {time.perf_counter() - begun:.1f} s")


def finish(players: list[Player], terms: Terms, started: float, judge: Judge) -> dict:
    """Write sheets, weights and histories of all players, then score them, the first ones first."""
    records = about() | {"floor": judge.floor(), "rungs": {}}
    coders = {p.rung.name: coded(p) for p in players if p.rung.kind != "gan"}
    for p in players:
        records["rungs"][p.rung.name] = kept(p, coders.get(p.rung.name), terms, started, judge)
    folders.write_json(terms.out / "records.json", records)
    say(started, "sheets and weights are written")
    for p in players:
        record = records["rungs"][p.rung.name]
        for which in ("average", "last") if p.rung.name in COMPARED else ("average",):
            record[which] = judge.scores(p.samples(len(judge.held), which))
        if made := coders.get(p.rung.name):
            record["repeated"] = judge.scores(made.repeated)
            record["fitted"] = judge.scores(made.fitted)
        folders.write_json(terms.out / "records.json", records)
        say(started, f"{p.rung.name}, {p.seen} images: {record['average']}")
    return records


def kept(p: Player, made: Coded | None, terms: Terms, started: float, judge: Judge) -> dict:
    """Write a player's sheets and, where asked for, its weights; return its record."""
    name, out = p.rung.name, terms.out
    look(p, judge, started)
    record = {"says": p.rung.says, "images": p.seen, "seconds": round(p.seconds, 1),
              "steps": p.steps, "graph": bool(p.graphs), "history": p.history,
              "parameters": sum(q.numel() for q in p.g.parameters())}  # fmt: skip
    pictures.write_sheet(p.samples(64), out / f"{name}-average.jpg")
    pictures.write_sheet(p.samples(64, "last")[:32], out / f"{name}-last.jpg", quality=80)
    pictures.write_sheet(torch.cat(p.strips), out / f"{name}-strips.jpg", quality=80)
    if made:
        eight = torch.cat([p.held[:8], made.repeated[:8], made.fitted[:8]])
        pictures.write_sheet(eight, out / f"{name}-recon.jpg")
        record["reconstruction"] = made.error
    if name in terms.keep:
        folders.write_tensors(out / f"{name}.safetensors", halved(p))
    return record


def halved(p: Player) -> dict[str, torch.Tensor]:
    """Return the averaged generator's weights, and a coder's encoder, with 16 bits to a number."""
    state = p.average.state_dict()
    if p.rung.kind != "gan":
        encoder = p.whole.state_dict().items()
        state |= {f"whole.{k}": v for k, v in encoder if not k.startswith("decoder")}
    return {k: v.half().cpu().contiguous() for k, v in state.items() if v.is_floating_point()}


@torch.no_grad()
def coded(p: Player) -> Coded:
    """Return what a coder makes of the held-out faces, and of codes like those of others."""
    p.whole.eval()
    held = [p.whole.encode(pictures.as_signed(x))[0] for x in p.held.split(250)]
    repeated = torch.cat([pictures.bytes_of(p.g(z)) for z in held])
    difference = (repeated.float() - p.held.float()) / 255
    some = [pictures.as_signed(x) for x in p.train[:8000].split(250)]
    z = torch.cat([p.whole.encode(x)[0] for x in some]).cpu()
    spread = z.T.cov() + 1e-4 * torch.eye(z.shape[1])
    torch.manual_seed(0)
    normal = torch.distributions.MultivariateNormal(z.mean(0), spread)
    drawn = normal.sample((len(p.held),)).to(p.device)
    fitted = torch.cat([pictures.bytes_of(p.g(part)) for part in drawn.split(250)])
    p.whole.train()
    return Coded(repeated, fitted, float(difference.square().sum((1, 2, 3)).mean()))


def about() -> dict:
    """Return device and versions."""
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    return {"device": name, "torch": torch.__version__}

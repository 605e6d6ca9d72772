"""Scores of samples against held-out people, on the features of the face referees."""

from __future__ import annotations

import copy

import torch

from course_utils import metrics
from course_utils.recipes import face_referee

REFEREES = ("face_referee", "face_referee_2")


class Judge:
    """Scores samples against held-out people, on the face referees' features.

    Args:
        held, train: faces (N, 3, 64, 64) uint8.
    """

    def __init__(self, held: torch.Tensor, train: torch.Tensor):
        self.device, self.held, self.train = held.device, held.cpu(), train.cpu()
        loaded = {name: face_referee.load_face_referee(name) for name in REFEREES}
        self.nets = {name: copy.deepcopy(net).to(held.device) for name, net in loaded.items()}
        self.real = {name: self.features(name, held) for name in self.nets}

    @torch.no_grad()
    def features(self, name: str, x: torch.Tensor) -> torch.Tensor:
        """Return what a referee sees in faces (N, 3, 64, 64) uint8, on the processor."""
        net = self.nets[name]
        return torch.cat([net.features(p.float() / 255) for p in x.split(1000)]).cpu()

    def floor(self) -> dict:
        """Return what real faces score, of people that the networks learnt from."""
        order = torch.randperm(len(self.train), generator=torch.Generator().manual_seed(0))
        return self.scores(self.train[order[: len(self.held)]].to(self.device))

    def frechet(self, x: torch.Tensor) -> float:
        """Return FD on the first referee, of as many samples as held-out faces."""
        name = REFEREES[0]
        fake = self.features(name, x[: len(self.held)])
        return round(metrics.frechet_distance(self.real[name], fake), 4)

    def scores(self, x: torch.Tensor) -> dict:
        """Return FD on both referees, precision, recall, of as many samples as held-out faces."""
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

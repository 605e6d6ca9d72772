"""One training by several processes, each with its own part of every batch.

    torch.distributed.init_process_group("gloo")  # under torchrun; "nccl" on graphics cards
    rank, world = torch.distributed.get_rank(), torch.distributed.get_world_size()
    train = data.batches(split, 128, rank=rank, world=world, drop_last=True)
    objective = DistributedDataParallel(Objective(model, losses.negative_elbo))
    fit(objective, None, train, optimizer=..., epochs=...)

torch's DistributedDataParallel averages the gradients, so that processes with equal parts of a
batch take the step that one process would take with the whole; `fit` averages what it reports, and
the first process alone writes. Noise differs from process to process where their seeds do.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from course_utils.errors import CourseError


def bare(model: nn.Module) -> nn.Module:
    """Return the module inside DistributedDataParallel, or the model as it is."""
    return model.module if isinstance(model, DistributedDataParallel) else model


def together(model: nn.Module) -> bool:
    """Tell whether several processes train this model; refuse one that they would train apart.

    Raises CourseError for batch norm that looks at each process's part of the batch alone.
    """
    if not isinstance(model, DistributedDataParallel):
        return False
    alone = (SharedBatchNorm, nn.SyncBatchNorm)
    for name, layer in model.module.named_modules():
        if isinstance(layer, _BatchNorm) and not isinstance(layer, alone):
            raise CourseError(
                f"{name} is a {type(layer).__name__}, which would see only this process's part of "
                "each batch; before wrapping the model, call share_batch_norm(model)"
            )
    return True


def sum_over_processes(device: torch.device) -> Callable[[float, int], tuple[float, int]]:
    """Return a function that adds up a sum and a count over all processes."""

    def add(total: float, count: int) -> tuple[float, int]:
        both = torch.tensor([total, count], dtype=torch.float64, device=device)
        dist.all_reduce(both)
        return both[0].item(), round(both[1].item())

    return add


def share_batch_norm(model: nn.Module) -> nn.Module:
    """Replace every batch norm in a model by one that sees the whole batch; return the model."""
    if isinstance(model, _BatchNorm):
        return SharedBatchNorm.like(model)
    for name, layer in model.named_children():
        setattr(model, name, share_batch_norm(layer))
    return model


class SharedBatchNorm(_BatchNorm):
    """Batch norm of x (B, C, ...) over the parts of a batch that all processes hold.

    torch's own, SyncBatchNorm, knows graphics cards only. Outside of a group of processes, and in
    eval mode, it is plain batch norm.
    """

    @classmethod
    def like(cls, layer: _BatchNorm) -> SharedBatchNorm:
        """Return one with the settings, weights and statistics of a plain layer."""
        made = cls(layer.num_features, layer.eps, layer.momentum, layer.affine,
                   layer.track_running_stats)  # fmt: skip
        made.load_state_dict(layer.state_dict())
        return made.to(next(layer.parameters(), torch.empty(0)).device).train(layer.training)

    def _check_input_dim(self, x: torch.Tensor) -> None:
        """Accept what any of torch's batch norms accepts."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not (self.training and dist.is_initialized()):
            return super().forward(x)
        dims = [0, *range(2, x.ndim)]
        n = x.numel() // x.shape[1] * dist.get_world_size()
        shape = (1, -1, *(1,) * (x.ndim - 2))
        mean = SumOfAll.apply(x.sum(dims)) / n  # (C,)
        centred = x - mean.view(shape)
        variance = SumOfAll.apply(centred.square().sum(dims)) / n
        self.follow(mean.detach(), variance.detach() * n / (n - 1))
        normal = centred * (variance + self.eps).rsqrt().view(shape)
        return normal * self.weight.view(shape) + self.bias.view(shape) if self.affine else normal

    def follow(self, mean: torch.Tensor, variance: torch.Tensor) -> None:
        """Move the running statistics towards those of a batch, as torch's batch norm does."""
        if not self.track_running_stats:
            return
        self.num_batches_tracked += 1
        share = self.momentum if self.momentum is not None else 1 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)


class SumOfAll(torch.autograd.Function):
    """The sum of a tensor over all processes; gradients are summed on the way back."""

    @staticmethod
    def forward(ctx, x: torch.Tensor) -> torch.Tensor:
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx, slope: torch.Tensor) -> torch.Tensor:
        total = slope.clone()
        dist.all_reduce(total)
        return total

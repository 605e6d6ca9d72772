"""A whole training step as one CUDA graph: its kernels are launched together, not one by one.

A small step on a fast card is over before the processor has launched the next kernel; captured
once and replayed, the same kernels run back to back, on the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from course_utils.errors import CourseError

WARM_UP = 3  # steps made as usual first, on a stream of their own, as capturing wants

Step = Callable[..., dict[str, torch.Tensor]]  # of tensors and flags -> terms


class Captured:
    """A step that is captured at its first batches and replayed from then on.

    Called as the step is. Batches of another shape than the first, like the small one at the end of
    an epoch, are made step by step as usual. Each combination of flags has its own graph.

    Args:
        step: `step(*tensors, **flags)` -> dict of scalars. It may not look at a number, and
            whatever it calls must do without: random draws on the device are fine.
        optimizers: that step in it.

    Raises CourseError for an optimizer that a graph cannot step, and where the step cannot be
    captured.
    """

    def __init__(self, step: Step, *optimizers: torch.optim.Optimizer):
        for optimizer in optimizers:
            refuse_optimizer(optimizer)
        if not torch.cuda.is_available():
            raise CourseError("graph=True needs an NVIDIA graphics card; leave it out here")
        self.step = step
        self.stream = torch.cuda.Stream()
        self.shapes: list[torch.Size] | None = None
        self.warm: dict[tuple, int] = {}
        self.graphs: dict[tuple, Graph] = {}

    def __call__(self, *tensors: torch.Tensor, **flags) -> dict[str, torch.Tensor]:
        shapes = [t.shape for t in tensors]
        self.shapes = self.shapes or shapes
        if shapes != self.shapes:
            return self.step(*tensors, **flags)
        key = tuple(sorted(flags.items()))
        if self.warm.setdefault(key, 0) < WARM_UP:
            self.warm[key] += 1
            return self.aside(tensors, flags)
        if key not in self.graphs:
            self.graphs[key] = Graph(self.step, tensors, flags, self.stream)
        return self.graphs[key].replay(tensors)

    def aside(self, tensors, flags) -> dict[str, torch.Tensor]:
        """Make a step as usual, on the stream that will be captured."""
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            terms = self.step(*tensors, **flags)
        torch.cuda.current_stream().wait_stream(self.stream)
        return terms


class Graph:
    """One captured step, with the places from which it reads its batch and to which it writes."""

    def __init__(self, step: Step, tensors, flags: dict, stream: torch.cuda.Stream):
        self.inputs = [t.clone() for t in tensors]
        self.graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(self.graph, stream=stream):
                terms = step(*self.inputs, **flags)
                self.terms = torch.stack([t.detach().float() for t in terms.values()])
        except RuntimeError as error:
            raise CourseError(
                f"this step cannot be captured as a CUDA graph ({str(error).splitlines()[0]}); "
                "train without graph=True"
            ) from None
        self.names = list(terms)

    def replay(self, tensors) -> dict[str, torch.Tensor]:
        """Make the step on another batch."""
        for place, tensor in zip(self.inputs, tensors, strict=True):
            place.copy_(tensor)
        self.graph.replay()
        return dict(zip(self.names, self.terms.clone().unbind(), strict=True))


def refuse_optimizer(optimizer: torch.optim.Optimizer) -> None:
    """Raise CourseError for an optimizer whose step would be the same at every replay."""
    for group in optimizer.param_groups:
        if not group.get("capturable"):
            raise CourseError(
                f"{type(optimizer).__name__} cannot step inside a CUDA graph as it is; "
                "make it with capturable=True: torch.optim.Adam(..., fused=True, capturable=True)"
            )


def refuse_schedule(scheduler) -> None:
    """Raise CourseError for a schedule whose changes a captured step would not see."""
    if scheduler is None:
        return
    groups = scheduler.optimizer.param_groups
    if not all(isinstance(group["lr"], torch.Tensor) for group in groups):
        raise CourseError(
            "a captured step sees a changing learning rate only where it is a tensor; make the "
            "optimizer with lr=torch.tensor(lr, device='cuda')"
        )
    if getattr(scheduler, "cycle_momentum", False):
        raise CourseError(
            f"{type(scheduler).__name__} changes the momentum too, which a captured step does not "
            "see; make it with cycle_momentum=False"
        )

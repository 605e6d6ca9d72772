"""A step replayed as a CUDA graph gives the bits of the step made as usual, and says what it needs.

Where there is no graphics card, only the refusals are tested; `course_tools/gpu_check.py` shows the
rest on one.
"""

import pytest
import torch

from course_utils import losses, train
from course_utils.data import batches
from course_utils.models import VAE, Autoencoder
from course_utils.runtime import CourseError
from course_utils.train import graphs

on_a_card = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device: not run here")


def test_an_optimizer_that_a_graph_cannot_step_is_refused(few):
    model = Autoencoder(widths=(8,), code_dim=2)
    for optimizer in (torch.optim.Adam(model.parameters(), fused=True),
                      torch.optim.SGD(model.parameters(), 0.1)):  # fmt: skip
        with pytest.raises(CourseError, match=r"cannot step inside a CUDA graph.*capturable=True"):
            train.fit(model, losses.reconstruction, batches(few, 100), epochs=1, graph=True,
                      optimizer=optimizer)  # fmt: skip


def test_a_schedule_that_a_graph_would_not_see_is_refused():
    parameters = [torch.nn.Parameter(torch.zeros(2))]
    schedules = torch.optim.lr_scheduler
    plain = torch.optim.Adam(parameters, lr=0.1)
    with pytest.raises(CourseError, match=r"lr=torch\.tensor"):
        graphs.refuse_schedule(schedules.StepLR(plain, 3))
    tensor = torch.optim.Adam(parameters, lr=torch.tensor(0.1), capturable=True, foreach=False)
    with pytest.raises(CourseError, match="cycle_momentum=False"):
        graphs.refuse_schedule(schedules.OneCycleLR(tensor, 0.1, total_steps=9))
    onecycle = schedules.OneCycleLR(tensor, 0.1, total_steps=9, cycle_momentum=False)
    graphs.refuse_schedule(onecycle)
    graphs.refuse_schedule(None)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_graph_needs_a_graphics_card():
    with pytest.raises(CourseError, match="needs an NVIDIA graphics card"):
        graphs.Captured(lambda x: {})


@on_a_card
@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("schedule", [False, True])
def test_graph_and_usual_step_give_the_same_bits(digits, precision, schedule):
    def trained(graph):
        torch.manual_seed(0)
        model = VAE(widths=(64,), code_dim=4).cuda()
        rate = torch.tensor(2e-3, device="cuda")
        optimizer = torch.optim.Adam(model.parameters(), lr=rate, fused=True, capturable=True)
        scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 150) if schedule else None
        history = train.fit(
            model, losses.negative_elbo,
            batches(digits.train.head(3000), 64, "cuda", seed=1, shuffle=True), epochs=3,
            optimizer=optimizer, scheduler=scheduler, precision=precision, graph=graph,
            progress=False,
        )  # fmt: skip
        return history, [p.detach().cpu() for p in model.parameters()]

    (rows, usual), (graph_rows, replayed) = trained(False), trained(True)
    assert all(torch.equal(a, b) for a, b in zip(usual, replayed, strict=True))
    assert rows == graph_rows

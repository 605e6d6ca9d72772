"""An epoch that takes many times its fastest step says what to do; others say nothing."""

import pytest
import torch

from course_utils import losses, train
from course_utils.data import batches
from course_utils.models import Autoencoder
from course_utils.train import loop, pace


class Clock:
    """A clock that goes on by the next of the given seconds at every look, the first aside."""

    def __init__(self, seconds):
        self.now, self.seconds = 0.0, iter([0.0, *seconds])

    def __call__(self):
        self.now += next(self.seconds)
        return self.now


def hint_after(monkeypatch, split, seconds, device="cpu", threads=2):
    """Return the hint after an epoch whose steps of 10 images took these seconds."""
    paced = pace.Pace(batches(split.head(10 * len(seconds)), 10))
    monkeypatch.setattr(pace.time, "perf_counter", Clock(seconds))
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    for _ in paced:
        pass
    return paced.hint()


def test_a_slow_epoch_is_told_with_the_cure(monkeypatch, few):
    hint = hint_after(monkeypatch, few, [0.1] * 5 + [3.0] * 5)
    assert hint.startswith("this epoch took 16 s, at its fastest step 1.0 s: the machine is busy")
    assert "COURSE_THREADS=1" in hint and "--threads 1" in hint and "\n" not in hint
    hint = hint_after(monkeypatch, few, [0.1] * 5 + [3.0] * 5, threads=1)
    assert "close other programs" in hint and "THREADS" not in hint


@pytest.mark.parametrize(
    "seconds",
    [
        [0.1] * 10,  # nothing the matter
        [0.5] + [0.1] * 9,  # a slow start
        [0.001] * 9 + [0.5],  # many times, and half a second lost
        [1.0] * 5 + [2.0] * 5,  # seconds lost, and less than twice
    ],
)
def test_other_epochs_say_nothing(monkeypatch, few, seconds):
    assert hint_after(monkeypatch, few, seconds) is None


def test_it_is_said_once(monkeypatch, few):
    paced = pace.Pace(batches(few.head(20), 10))
    monkeypatch.setattr(pace.time, "perf_counter", Clock([0.1, 9.0, 0.0, 0.1, 9.0]))
    for _ in range(2):
        for _ in paced:
            pass
    assert paced.hint() and paced.hint() is None


def test_a_smaller_last_batch_is_no_fast_step(monkeypatch, few):
    """It is the time per image that counts."""
    paced = pace.Pace(batches(few.head(11), 10))
    monkeypatch.setattr(pace.time, "perf_counter", Clock([8.0, 0.8]))
    for _ in paced:
        pass
    assert paced.hint() is None and paced.fastest == pytest.approx(0.8)


def test_where_steps_return_early_time_is_taken_at_the_looks_only(monkeypatch, few):
    """So it is on a graphics card: between two waits for the device."""
    paced = pace.Pace(batches(few, 1))
    paced.every = train.CHECK_EVERY
    looks = []
    monkeypatch.setattr(pace.time, "perf_counter", lambda: looks.append(1) or float(len(looks)))
    assert len(list(paced)) == 300
    assert len(looks) == 1 + 3


def test_the_loader_is_the_one_that_was_given(few):
    made = batches(few, 64, seed=5, shuffle=True)
    paced = pace.Pace(made)
    paced.epoch = 3
    assert made.epoch == 3 and len(paced) == len(made) == 5 and paced.device == made.device
    ours = [y for _, y in paced]
    assert made.epoch == 4
    made.epoch = 3
    assert all(torch.equal(a, b) for a, (_, b) in zip(ours, made, strict=True))


@pytest.mark.parametrize("progress", [True, False])
def test_the_line_appears_beside_a_bar_only(monkeypatch, few, capfd, progress):
    monkeypatch.setattr(pace.Pace, "hint", lambda self: "the machine is busy")
    model = Autoencoder(widths=(8,), code_dim=2)
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    train.fit(model, losses.reconstruction, batches(few, 100), epochs=1, optimizer=optimizer,
              progress=progress)  # fmt: skip
    assert ("the machine is busy" in "".join(capfd.readouterr())) is progress
    assert loop.hidden(progress) is not progress

"""Checkpoints: the same bytes for the same state, refused when wrong, never half written."""

import hashlib
import json
import os
import random
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from course_utils import checkpoint, losses, train
from course_utils.data import batches
from course_utils.models import Autoencoder
from course_utils.runtime import CourseError


def trained(seed=0, steps=3, activation="relu"):
    """Return a small autoencoder and its optimizer after a few steps on noise."""
    torch.manual_seed(seed)
    model = Autoencoder(widths=(16,), code_dim=2, activation=activation)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    for _ in range(steps):
        optimizer.zero_grad()
        losses.reconstruction(model, torch.rand(8, 1, 28, 28))["loss"].backward()
        optimizer.step()
    return model, optimizer


def parts(model, optimizer, scheduler=None):
    """Return the parts of a training by their names."""
    found = {"model": model, "optimizer": optimizer}
    return found if scheduler is None else found | {"scheduler": scheduler}


@pytest.fixture
def saved(tmp_path):
    """Return a training checkpoint, with the model and optimizer in it."""
    model, optimizer = trained()
    path = tmp_path / "checkpoint.safetensors"
    checkpoint.save_training(path, parts(model, optimizer), {"history": [{"epoch": 1}], "run": {}})
    return path, model, optimizer


# ----------------------------------------------------------------------------------- there and back


def test_tensors_and_info_come_back(tmp_path):
    tensors = {
        "float": torch.randn(3, 4),
        "half": torch.randn(5).bfloat16(),
        "whole": torch.arange(6).reshape(2, 3),
        "bytes": torch.arange(256, dtype=torch.uint8),
        "scalar": torch.tensor(0.1, dtype=torch.float64),
        "strided": torch.randn(4, 3, 2, 2).to(memory_format=torch.channels_last),
        "part": torch.arange(10.0)[::2],
        "empty": torch.empty(0, 3),
    }
    info = {"history": [{"loss": 0.1 + 0.2}], "says": "ümläut", "nothing": None}
    checkpoint.save(tmp_path / "x.safetensors", tensors, info)
    back, found = checkpoint.load(tmp_path / "x.safetensors")
    assert found == info | {"format": checkpoint.FORMAT}
    assert set(back) == set(tensors)
    for name, tensor in tensors.items():
        assert back[name].dtype == tensor.dtype and torch.equal(back[name], tensor), name


def test_the_same_state_gives_the_same_bytes(tmp_path):
    """Also with the info's keys in another order, and in another memory format."""
    tensors = {"b": torch.randn(2, 3, 4, 4), "a": torch.ones(3)}
    checkpoint.save(tmp_path / "one", tensors, {"x": 1, "y": [2, 3], "z": {"k": 4, "l": 5}})
    turned = {"a": tensors["a"], "b": tensors["b"].to(memory_format=torch.channels_last)}
    for i in range(5):
        path = tmp_path / f"other{i}"
        checkpoint.save(path, turned, {"z": {"l": 5, "k": 4}, "y": [2, 3], "x": 1})
        assert path.read_bytes() == (tmp_path / "one").read_bytes()


def test_saving_what_was_loaded_gives_the_same_file(saved):
    path, _, _ = saved
    before = path.read_bytes()
    model, optimizer = trained(seed=9)
    info = checkpoint.load_training(path, parts(model, optimizer))
    kept = {k: info[k] for k in ("history", "run")}
    checkpoint.save_training(path, parts(model, optimizer), kept)
    assert path.read_bytes() == before


def test_weights_and_moments_come_back(saved):
    path, model, optimizer = saved
    other, restored = trained(seed=9, steps=1)
    checkpoint.load_training(path, parts(other, restored))
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
        for key in ("step", "exp_avg", "exp_avg_sq"):
            assert torch.equal(optimizer.state[a][key], restored.state[b][key]), key


def test_all_random_generators_go_on_where_they_were(tmp_path):
    model, optimizer = trained()
    random.gauss(0, 1)  # leaves a second number waiting, and so does NumPy's
    np.random.normal()
    checkpoint.save_training(tmp_path / "x", parts(model, optimizer), {})

    def draw():
        drawn = [random.random(), random.gauss(0, 1), np.random.normal(), np.random.rand()]
        return [*drawn, *torch.randn(3).tolist()]

    expected = draw()
    draw()
    checkpoint.load_training(tmp_path / "x", parts(model, optimizer))
    assert draw() == expected


def schedules():
    """Return the kinds of schedule whose state must survive."""
    kinds = torch.optim.lr_scheduler
    return {
        "onecycle": lambda o: kinds.OneCycleLR(o, 1e-2, total_steps=40),
        "cosine": lambda o: kinds.CosineAnnealingLR(o, 40),
        "lambda": lambda o: kinds.LambdaLR(o, lambda step: 0.9**step),
    }


@pytest.mark.parametrize("kind", schedules())
def test_a_schedule_goes_on_where_it_was(tmp_path, kind):
    def rates(optimizer, scheduler, n):
        found = []
        for _ in range(n):
            optimizer.step()
            scheduler.step()
            group = optimizer.param_groups[0]
            found.append((group["lr"], group["betas"]))
        return found

    model, optimizer = trained()
    scheduler = schedules()[kind](optimizer)
    rates(optimizer, scheduler, 15)
    checkpoint.save_training(tmp_path / "x", parts(model, optimizer, scheduler), {})
    expected = rates(optimizer, scheduler, 20)

    model, optimizer = trained()
    scheduler = schedules()[kind](optimizer)
    checkpoint.load_training(tmp_path / "x", parts(model, optimizer, scheduler))
    assert rates(optimizer, scheduler, 20) == expected


def test_settings_changed_during_training_come_back(saved, tmp_path):
    path, model, optimizer = saved
    optimizer.param_groups[0]["lr"] = 0.0625
    checkpoint.save_training(path, parts(model, optimizer), {})
    other, restored = trained(seed=9)
    checkpoint.load_training(path, parts(other, restored))
    assert restored.param_groups[0]["lr"] == 0.0625
    assert restored.param_groups[0]["betas"] == (0.9, 0.999)


# ---------------------------------------------------------------------------------- what is refused


def rewrite(path, **changes):
    """Change entries of the JSON in a checkpoint's header; the tensors stay."""
    tensors, info = checkpoint.load(path)
    known = info["format"]
    checkpoint.FORMAT, before = changes.pop("format", known), checkpoint.FORMAT
    try:
        del info["format"]
        checkpoint.save(path, tensors, info | changes)
    finally:
        checkpoint.FORMAT = before


def test_a_newer_format_is_refused(saved):
    path, model, optimizer = saved
    rewrite(path, format=checkpoint.FORMAT + 1)
    message = rf"checkpoint.*format {checkpoint.FORMAT + 1}.*newer version.*upgrade"
    with pytest.raises(CourseError, match=message):
        checkpoint.load(path)
    with pytest.raises(CourseError, match=message):
        checkpoint.load_training(path, parts(model, optimizer))


def test_every_truncation_is_refused(saved):
    path, _, _ = saved
    whole = path.read_bytes()
    header = 8 + struct.unpack("<Q", whole[:8])[0]
    cuts = [0, 1, 7, 8, 9, header // 2, header - 1, header, header + 1, len(whole) - 1]
    for cut in cuts:
        path.write_bytes(whole[:cut])
        with pytest.raises(CourseError, match=r"cannot be read.*truncated.*train again"):
            checkpoint.load(path)


@pytest.mark.parametrize("content", [b"PK\x03\x04 a zip", b"\x80\x02pickle", b"hello" * 100])
def test_a_foreign_file_is_refused(tmp_path, content):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(CourseError, match=r"x\.safetensors cannot be read"):
        checkpoint.load(path)


@pytest.mark.parametrize("header", [None, {"other": "1"}, {"course": "no json"}, {"course": "[]"}])
def test_safetensors_of_other_programs_are_refused(tmp_path, header):
    from safetensors.torch import save_file

    save_file({"x": torch.ones(1)}, tmp_path / "x", metadata=header)
    with pytest.raises(CourseError, match="cannot be read as a checkpoint of the course"):
        checkpoint.load(tmp_path / "x")


def test_an_absent_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(CourseError, match=r"gone is not there.*course train"):
        checkpoint.load(tmp_path / "gone")
    with pytest.raises(CourseError, match="is not there"):
        checkpoint.load(tmp_path)


@pytest.mark.parametrize(
    "other",
    [
        Autoencoder(widths=(16,), code_dim=3),
        Autoencoder(widths=(16, 8), code_dim=2),
        Autoencoder(widths=(), code_dim=2),
        nn.ModuleDict({"encoder": Autoencoder(widths=(16,), code_dim=2).encoder}),
        nn.Linear(2, 2),
    ],
)
def test_weights_of_another_architecture_are_refused(saved, other):
    path, _, _ = saved
    before = [p.clone() for p in other.parameters()]
    optimizer = torch.optim.Adam(other.parameters(), fused=True)
    with pytest.raises(CourseError, match=rf"another architecture than {type(other).__name__}"):
        checkpoint.load_training(path, parts(other, optimizer))
    assert all(torch.equal(a, b) for a, b in zip(other.parameters(), before, strict=True))


def test_finished_weights_are_no_training_state(tmp_path):
    model, optimizer = trained()
    checkpoint.save(tmp_path / "x", model.state_dict(), {"model": "Autoencoder"})
    with pytest.raises(CourseError, match="no training state"):
        checkpoint.load_training(tmp_path / "x", parts(model, optimizer))


def test_another_optimizer_is_refused(saved):
    path, model, _ = saved
    encoder, decoder = model.encoder.parameters(), model.decoder.parameters()
    two_groups = torch.optim.Adam([{"params": encoder}, {"params": decoder}])
    with pytest.raises(CourseError, match="another optimizer"):
        checkpoint.load_training(path, parts(model, two_groups))


def test_a_checkpoint_cannot_run_code(tmp_path):
    """A pickle that would print, under the name of a checkpoint, is refused unread."""
    import pickle

    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("the pickle was opened",))

    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(CourseError, match="cannot be read"):
        checkpoint.load(path)


# ------------------------------------------------------------------------------- half-written files


def leftovers(folder, *expected):
    """Return the names in `folder` beside the expected ones."""
    return sorted({p.name for p in folder.iterdir()} - set(expected))


def test_a_disk_that_fills_while_writing_leaves_the_old_file(saved, full_disk):
    path, model, optimizer = saved
    before = path.read_bytes()
    with (
        full_disk(after=10_000),
        pytest.raises(CourseError, match=r"cannot write.*free some space"),
    ):
        checkpoint.save_training(path, parts(model, optimizer), {"history": []})
    assert path.read_bytes() == before
    assert leftovers(path.parent, path.name) == []


@pytest.mark.parametrize("failure", [KeyboardInterrupt, RuntimeError, MemoryError])
def test_a_failure_in_the_middle_of_writing_leaves_the_old_file(saved, monkeypatch, failure):
    path, model, optimizer = saved
    before = path.read_bytes()

    def half(to, content):
        with to.open("wb") as file:
            file.write(content[: len(content) // 2])
        raise failure

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(failure):
        checkpoint.save_training(path, parts(model, optimizer), {"history": []})
    assert path.read_bytes() == before
    assert leftovers(path.parent, path.name) == []


def test_the_file_is_whole_on_disk_before_it_takes_its_name(saved, monkeypatch):
    """A power cut after the rename must not reveal an empty file: fsync comes first."""
    path, model, optimizer = saved
    events = []
    real_sync, real_replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (events.append("fsync"), real_sync(fd)))
    monkeypatch.setattr(os, "replace", lambda a, b: (events.append("replace"), real_replace(a, b)))
    checkpoint.save_training(path, parts(model, optimizer), {})
    assert events == ["fsync", "replace"]


# ------------------------------------------------------------------- the memory-format trap of Adam


class ConvNet(nn.Module):
    """A small convolutional autoencoder: images (B, 1, 28, 28) -> logits, codes (B, 8, 7, 7)."""

    def __init__(self):
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(1, 6, 3, 2, 1), nn.Tanh(), nn.Conv2d(6, 8, 3, 2, 1))
        self.up = nn.Sequential(
            nn.ConvTranspose2d(8, 6, 4, 2, 1), nn.Tanh(), nn.ConvTranspose2d(6, 1, 4, 2, 1)
        )

    def forward(self, x):
        z = self.down(x)
        return self.up(z), z

    def pixels(self, logits):
        return logits.sigmoid()


def train_conv(split, epochs, path=None, resume=False):
    """Train a ConvNet in channels_last with fused Adam, perhaps from a checkpoint; return it."""
    torch.manual_seed(0)
    model = ConvNet().to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2, fused=True)
    train.fit(model, losses.reconstruction, batches(split, 50, shuffle=True), epochs=epochs,
              optimizer=optimizer, checkpoint=path, resume=resume, progress=False)  # fmt: skip
    return model


def weights(model) -> str:
    """Return the hash of all weights: pytest would print every byte of a difference."""
    parts = (p.detach().contiguous().numpy().tobytes() for p in model.parameters())
    return hashlib.sha256(b"".join(parts)).hexdigest()


def test_channels_last_with_fused_adam_resumes_to_the_same_bytes(few, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    whole = train_conv(few, epochs=4)
    train_conv(few, epochs=2, path=path)
    resumed = train_conv(few, epochs=4, path=path, resume=True)
    assert whole.down[2].weight.is_contiguous(memory_format=torch.channels_last)
    assert not whole.down[2].weight.is_contiguous()
    assert weights(resumed) == weights(whole)


def test_without_like_the_moments_would_meet_the_wrong_weights(few, tmp_path, monkeypatch):
    """The test above means something: plain contiguous moments go astray without an error."""
    path = tmp_path / "checkpoint.safetensors"
    whole = train_conv(few, epochs=4)
    train_conv(few, epochs=2, path=path)
    monkeypatch.setattr(checkpoint, "like", lambda tensor, parameter: tensor)
    resumed = train_conv(few, epochs=4, path=path, resume=True)
    assert weights(resumed) != weights(whole)
    assert json.loads(json.dumps(checkpoint.load(path)[1]["history"]))[-1]["epoch"] == 4


def test_like_lays_out_a_tensor_as_its_parameter():
    parameter = nn.Parameter(torch.randn(4, 3, 2, 2).to(memory_format=torch.channels_last))
    moment = torch.randn(4, 3, 2, 2)
    laid_out = checkpoint.like(moment, parameter)
    assert laid_out.stride() == parameter.stride() != moment.stride()
    assert torch.equal(laid_out, moment) and not laid_out.requires_grad
    step = torch.tensor(3.0)
    assert checkpoint.like(step, parameter) is step

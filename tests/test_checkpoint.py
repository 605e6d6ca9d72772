"""Checkpoints: the same bytes for the same state, refused when wrong, never half written."""

import copy
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
    """Return the kinds of schedule whose state must survive, types and all."""
    kinds = torch.optim.lr_scheduler
    return {
        "onecycle": lambda o: kinds.OneCycleLR(o, 1e-2, total_steps=40),
        "cosine": lambda o: kinds.CosineAnnealingLR(o, 40),
        "lambda": lambda o: kinds.LambdaLR(o, lambda step: 0.9**step),
        "multistep": lambda o: kinds.MultiStepLR(o, [4, 18, 18, 30]),
        "sequential": lambda o: kinds.SequentialLR(
            o, [kinds.LinearLR(o, 0.1, total_iters=6), kinds.MultiStepLR(o, [11, 13])], [6]
        ),
        "chained": lambda o: kinds.ChainedScheduler(
            [kinds.ConstantLR(o, 0.1, 20), kinds.ExponentialLR(o, 0.9)]
        ),
        "cyclic": lambda o: kinds.CyclicLR(o, 1e-4, 1e-2, step_size_up=7, cycle_momentum=False),
        "restarts": lambda o: kinds.CosineAnnealingWarmRestarts(o, 7, T_mult=2),
        "plateau": lambda o: kinds.ReduceLROnPlateau(o, patience=2, cooldown=1),
    }


@pytest.mark.parametrize("kind", schedules())
def test_a_schedule_goes_on_where_it_was(tmp_path, kind):
    def rates(optimizer, scheduler, n):
        found = []
        for i in range(n):
            optimizer.step()
            scheduler.step(*([1.0 + (i % 5)] if kind == "plateau" else []))
            group = optimizer.param_groups[0]
            found.append((group["lr"], group["betas"]))
        return found

    model, optimizer = trained()
    scheduler = schedules()[kind](optimizer)
    rates(optimizer, scheduler, 15)
    before = copy.deepcopy(scheduler.state_dict())
    checkpoint.save_training(tmp_path / "x", parts(model, optimizer, scheduler), {})
    expected = rates(optimizer, scheduler, 20)

    model, optimizer = trained()
    scheduler = schedules()[kind](optimizer)
    checkpoint.load_training(tmp_path / "x", parts(model, optimizer, scheduler))
    assert same(scheduler.state_dict(), before)
    assert rates(optimizer, scheduler, 20) == expected


def same(one, other) -> bool:
    """Tell whether two states agree, types of all values and keys included."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return {*one} == {*other} and all(same(one[k], other[k]) for k in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


def every_optimizer():
    """Return optimizers with states of all sorts: numbers, None, tensors of other shapes."""
    kinds = torch.optim
    return {
        "adam": lambda p: kinds.Adam(p, amsgrad=True),
        "fused": lambda p: kinds.Adam(p, fused=True),
        "adamw": lambda p: kinds.AdamW(p),
        "sgd": lambda p: kinds.SGD(p, 1e-2),
        "momentum": lambda p: kinds.SGD(p, 1e-2, momentum=0.9, nesterov=True),
        "rmsprop": lambda p: kinds.RMSprop(p, centered=True),
        "adagrad": lambda p: kinds.Adagrad(p),
        "adadelta": lambda p: kinds.Adadelta(p),
        "adafactor": lambda p: kinds.Adafactor(p),
        "nadam": lambda p: kinds.NAdam(p),
        "rprop": lambda p: kinds.Rprop(p),
    }


@pytest.mark.parametrize("kind", every_optimizer())
def test_an_optimizer_goes_on_where_it_was(tmp_path, kind):
    def step(model, optimizer):
        losses.reconstruction(model, torch.rand(8, 1, 28, 28))["loss"].backward()
        optimizer.step()
        optimizer.zero_grad()

    def built():
        torch.manual_seed(0)
        model = Autoencoder(widths=(16,), code_dim=2)
        return model, every_optimizer()[kind](model.parameters())

    model, optimizer = built()
    step(model, optimizer)
    before = copy.deepcopy(optimizer.state_dict())
    checkpoint.save_training(tmp_path / "x", parts(model, optimizer), {})
    step(model, optimizer)
    other, restored = built()
    checkpoint.load_training(tmp_path / "x", parts(other, restored))
    assert same(restored.state_dict(), before)
    step(other, restored)
    assert weights(other) == weights(model)


def test_layers_that_share_a_weight(tmp_path):
    def built(seed):
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
        model[1].weight = model[0].weight
        return model, torch.optim.Adam(model.parameters(), fused=True)

    model, optimizer = built(0)
    checkpoint.save_training(tmp_path / "x", parts(model, optimizer), {})
    other, restored = built(1)
    checkpoint.load_training(tmp_path / "x", parts(other, restored))
    assert weights(other) == weights(model)
    assert other[1].weight is other[0].weight
    whole = torch.arange(6.0)
    checkpoint.save(tmp_path / "views", {"a": whole, "b": whole[2:], "c": whole[2:5]}, {})
    assert checkpoint.load(tmp_path / "views")[0]["c"].tolist() == [2, 3, 4]


def test_several_networks_and_optimizers_in_one_file(tmp_path):
    def built(seed):
        one, its = trained(seed)
        other, others = trained(seed + 1)
        return {"one": one, "two": other, "opt_one": its, "opt_two": others}

    made, back = built(0), built(5)
    checkpoint.save_training(tmp_path / "x", made, {"history": []})
    checkpoint.load_training(tmp_path / "x", back)
    assert weights(back["one"]) == weights(made["one"]) != weights(made["two"])
    for name in ("opt_one", "opt_two"):
        assert same(back[name].state_dict(), made[name].state_dict())


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
    message = "another architecture" if type(other) is Autoencoder else "model is Autoencoder; here"
    with pytest.raises(CourseError, match=message):
        checkpoint.load_training(path, parts(other, optimizer))
    assert all(torch.equal(a, b) for a, b in zip(other.parameters(), before, strict=True))


@pytest.mark.parametrize("change", ["one more", "one less", "another shape"])
def test_weights_that_differ_in_one_name_or_shape_are_refused(change):
    model, _ = trained()
    weights = {name: tensor.clone() + 1 for name, tensor in model.state_dict().items()}
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    last = list(weights)[-1]
    if change == "one more":
        weights["unknown"] = torch.ones(1)
    elif change == "one less":
        del weights[last]
    else:
        weights[last] = weights[last][None]
    with pytest.raises(CourseError, match="another architecture"):
        checkpoint.load_weights(model, weights, Path("w"))
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())


def test_finished_weights_are_no_training_state(tmp_path):
    model, optimizer = trained()
    checkpoint.save(tmp_path / "x", model.state_dict(), {"model": "Autoencoder"})
    with pytest.raises(CourseError, match="no training state"):
        checkpoint.load_training(tmp_path / "x", parts(model, optimizer))


OPTIM, SCHEDULE = torch.optim, torch.optim.lr_scheduler


def optimizers():
    """Return optimizers that must not take up what fused Adam with its defaults left."""
    return {
        "is Adam; here it is SGD": lambda m: OPTIM.SGD(m.parameters(), 1e-3),
        "is Adam; here it is RMSprop": lambda m: OPTIM.RMSprop(m.parameters(), 1e-3),
        "is Adam; here it is AdamW": lambda m: OPTIM.AdamW(m.parameters(), 1e-3, fused=True),
        "is Adam; here it is Adagrad": lambda m: OPTIM.Adagrad(m.parameters(), 1e-3),
        "lr = 0.001; here it has lr = 0.01": lambda m: adam(m.parameters(), lr=1e-2),
        "eps = 1e-08; here it has eps = 1e-06": lambda m: adam(m.parameters(), eps=1e-6),
        "betas 0 = 0.9; here it has betas 0 = 0.5": lambda m: adam(
            m.parameters(), betas=(0.5, 0.9)
        ),
        "fused = True; here it has fused = None": lambda m: OPTIM.Adam(m.parameters()),
        "lr = 0.001; here it has lr = a tensor": lambda m: adam(m.parameters(), torch.tensor(1e-3)),
        "group 1 params 0 = nothing; here .* = model.decoder.0.weight": lambda m: adam(
            [{"params": m.encoder[1].parameters()}, {"params": m.decoder.parameters()}]
        ),
        "params 0 = model.encoder.1.weight; here .* = model.decoder.2.bias": lambda m: adam(
            [*m.parameters()][::-1]
        ),
    }


def adam(parameters, lr=1e-3, **options):
    """Return fused Adam."""
    return OPTIM.Adam(parameters, lr=lr, fused=True, **options)


@pytest.mark.parametrize("message", optimizers())
def test_another_optimizer_is_refused_before_anything_changes(saved, message):
    path, _, _ = saved
    other, _ = trained(seed=9)
    optimizer, before = optimizers()[message](other), weights(other)
    state, drawn = copy.deepcopy(optimizer.state_dict()), torch.get_rng_state()
    with pytest.raises(CourseError, match=message):
        checkpoint.load_training(path, parts(other, optimizer))
    assert weights(other) == before and torch.equal(torch.get_rng_state(), drawn)
    assert same(optimizer.state_dict(), state)


def test_another_schedule_is_refused(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    made = {
        "none": lambda o: None,
        "OneCycleLR": lambda o: SCHEDULE.OneCycleLR(o, 1e-2, total_steps=40),
        "StepLR": lambda o: SCHEDULE.StepLR(o, 10),
    }
    for written, write in made.items():
        model, optimizer = trained()
        checkpoint.save_training(path, parts(model, optimizer, write(optimizer)), {})
        for taken, take in made.items():
            other, restored = trained(seed=9)
            together = parts(other, restored, take(restored))
            if written == taken:
                checkpoint.load_training(path, together)
                continue
            message = f"scheduler is {written}; here it is {taken}"
            with pytest.raises(CourseError, match=message):
                checkpoint.load_training(path, together)


def warming(o, gamma):
    """Return two schedules, one after the other."""
    parts = [SCHEDULE.ConstantLR(o, 0.1, 2), SCHEDULE.ExponentialLR(o, gamma)]
    return SCHEDULE.SequentialLR(o, parts, [2])


@pytest.mark.parametrize(
    ("one", "other", "message"),
    [
        (
            lambda o: SCHEDULE.OneCycleLR(o, 1e-2, total_steps=40),
            lambda o: SCHEDULE.OneCycleLR(o, 1e-2, total_steps=80),
            "total_steps = 40; here it has total_steps = 80",
        ),
        (
            lambda o: SCHEDULE.OneCycleLR(o, 1e-2, total_steps=40),
            lambda o: SCHEDULE.OneCycleLR(o, 2e-2, total_steps=40),
            "base_lrs 0 = 0.0004; here it has base_lrs 0 = 0.0008",
        ),
        (
            lambda o: SCHEDULE.MultiStepLR(o, [4, 12]),
            lambda o: SCHEDULE.MultiStepLR(o, [4, 14]),
            "milestones 14 = nothing; here it has milestones 14 = 1",
        ),
        (
            lambda o: warming(o, 0.9),
            lambda o: warming(o, 0.8),
            "_schedulers 1 gamma = 0.9; here it has _schedulers 1 gamma = 0.8",
        ),
        (
            lambda o: SCHEDULE.ReduceLROnPlateau(o, patience=3),
            lambda o: SCHEDULE.ReduceLROnPlateau(o, patience=4),
            "patience = 3; here it has patience = 4",
        ),
    ],
)
def test_a_schedule_set_otherwise_is_refused(tmp_path, one, other, message):
    path = tmp_path / "checkpoint.safetensors"
    model, optimizer = trained()
    checkpoint.save_training(path, parts(model, optimizer, one(optimizer)), {})
    model, optimizer = trained()
    with pytest.raises(CourseError, match=message):
        checkpoint.load_training(path, parts(model, optimizer, other(optimizer)))


def test_other_parts_are_refused(saved):
    path, model, optimizer = saved
    with pytest.raises(CourseError, match="whose optimizer is Adam; here it is none"):
        checkpoint.load_training(path, {"model": model})
    with pytest.raises(CourseError, match="whose average is none; here it is Autoencoder"):
        checkpoint.load_training(path, parts(model, optimizer) | {"average": model})


def test_a_training_of_the_first_format_is_refused_in_words(saved):
    """As it was written until format 2: it did not say who had written it."""
    path, model, optimizer = saved
    rewrite(path, training={"param_groups": [{}], "scheduler": None, "rng": {}})
    with pytest.raises(CourseError, match=r"earlier version of the course.*train from the start"):
        checkpoint.load_training(path, parts(model, optimizer))


def test_a_state_that_cannot_be_kept_is_refused_before_an_epoch_is_lost(few, tmp_path):
    class Strange(SCHEDULE.LRScheduler):
        def __init__(self, optimizer):
            self.lock = object()
            super().__init__(optimizer)

        def get_lr(self):
            return [group["lr"] for group in self.optimizer.param_groups]

    model, optimizer = trained()
    with pytest.raises(CourseError, match=r"scheduler/lock is a object, which a checkpoint cannot"):
        train.fit(model, None, batches(few, 50), epochs=1, optimizer=optimizer, progress=False,
                  scheduler=Strange(optimizer), checkpoint=tmp_path / "x")  # fmt: skip


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

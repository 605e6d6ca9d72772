"""The training loop against one written out by hand, and what it does when things go wrong."""

import math

import numpy as np
import pytest
import torch

from course_utils import checkpoint, losses, runtime, train
from course_utils.data import batches
from course_utils.models import Autoencoder
from course_utils.runtime import CourseError
from course_utils.train import numerics


def new_model(seed=0):
    """Return a small autoencoder; the same weights for the same seed."""
    torch.manual_seed(seed)
    return Autoencoder(widths=(32,), code_dim=4, activation="tanh")


def adam(model, fused=True):
    """Return the optimizer of the course."""
    return torch.optim.Adam(model.parameters(), lr=2e-3, fused=fused)


def fitted(split, epochs=3, loss_fn=losses.reconstruction, val=None, **options):
    """Train a new model on batches of 64; return it and its history."""
    model = new_model()
    optimizer = options.pop("optimizer", adam)(model)
    made = batches(split, 64, seed=5, shuffle=True)
    history = train.fit(model, loss_fn, made, val, epochs=epochs, optimizer=optimizer,
                        progress=False, **options)  # fmt: skip
    return model, history


def by_hand(split, epochs=3):
    """Do what `fitted` does in plain PyTorch: NumPy pixels, an unfused optimizer, a written loss.

    Returns the model, and the mean loss of every epoch.
    """
    model = new_model()
    optimizer = adam(model, fused=False)
    pixels = torch.from_numpy(split.x.numpy().astype(np.float32) / np.float32(255))
    means = []
    for epoch in range(epochs):
        order = batches(split, 64, seed=5, shuffle=True).order(epoch).cpu()
        total = 0.0
        for chosen in order.split(64):
            x = pixels[chosen]
            recon = torch.sigmoid(model.decoder(model.encoder(x)))
            loss = ((recon - x) ** 2).sum(dim=(1, 2, 3)).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(x)
        means.append(total / len(split))
    return model, means


class Recorder:
    """A loss that notes what it is called with; a step costs the mean of one parameter."""

    def __init__(self):
        self.calls = []

    def __call__(self, model, x, y):
        self.calls.append((model.training, len(x), torch.is_grad_enabled(), y.clone()))
        return {"loss": model(x)[0].mean()}


# ------------------------------------------------------------------------------------- fit


def test_the_loss_falls(few):
    _, history = fitted(few, epochs=5)
    values = [row["train_loss"] for row in history]
    assert values == sorted(values, reverse=True)
    assert values[-1] < 0.7 * values[0]


def test_fit_is_the_loop_written_out(few):
    """Weights and recorded means agree; 300 images in batches of 64 end on a smaller batch."""
    model, history = fitted(few)
    expected, means = by_hand(few)
    for (name, ours), theirs in zip(model.named_parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5, msg=name)
    assert [row["train_loss"] for row in history] == pytest.approx(means, rel=1e-5)


def test_fit_repeats_itself_bit_by_bit(few):
    one, other = fitted(few), fitted(few)
    assert one[1] == other[1]
    for a, b in zip(one[0].parameters(), other[0].parameters(), strict=True):
        assert torch.equal(a, b)


def test_history_names_epochs_and_terms(few, digits):
    val = batches(digits.val, 1000)
    _, history = fitted(few, epochs=2, val=val, loss_fn=losses.sparse_reconstruction)
    names = {"loss", "sse", "l1"}
    expected = {"epoch"} | {f"{s}_{n}" for s in ("train", "val") for n in names}
    assert [row["epoch"] for row in history] == [1, 2]
    assert all(set(row) == expected for row in history)
    assert all(isinstance(v, (int, float)) for row in history for v in row.values())


def test_validation_is_scored_after_each_epoch_with_the_weights_of_that_epoch(few, digits):
    val = batches(digits.val, 300)
    for epochs in (1, 2):
        model, history = fitted(few, epochs=epochs, val=val)
        with torch.no_grad():
            x = digits.val.x / 255
            sse = (model.reconstruct(x) - x).square().sum().item() / len(x)
        assert history[-1]["val_loss"] == pytest.approx(sse, rel=1e-5)


def test_validating_changes_nothing_in_the_training(few, digits):
    def noisy(model, x, y):
        return losses.reconstruction(model, (x + 0.1 * torch.randn_like(x)).clamp(0, 1))

    plain, _ = fitted(few, loss_fn=noisy)
    scored, _ = fitted(few, loss_fn=noisy, val=batches(digits.val, 1000, shuffle=True))
    for a, b in zip(plain.parameters(), scored.parameters(), strict=True):
        assert torch.equal(a, b)


def test_every_epoch_shows_all_images_in_training_mode(few):
    seen = Recorder()
    fitted(few, epochs=2, loss_fn=seen)
    assert [n for _, n, _, _ in seen.calls] == [64, 64, 64, 64, 44] * 2
    assert all(training and grad for training, _, grad, _ in seen.calls)
    first, second = (torch.cat([c[3] for c in part]) for part in (seen.calls[:5], seen.calls[5:]))
    assert not torch.equal(first, second)
    assert torch.equal(first.sort().values, second.sort().values)


def test_the_model_trains_again_after_validation(few, digits):
    seen = Recorder()
    fitted(few, epochs=2, loss_fn=seen, val=batches(digits.val, 1000))
    assert [training for training, *_ in seen.calls] == ([True] * 5 + [False]) * 2


def test_the_schedule_steps_after_every_batch(few):
    rates = []
    model = new_model()
    optimizer = adam(model)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))

    def loss_fn(model, x, y):
        rates.append(optimizer.param_groups[0]["lr"])
        return losses.reconstruction(model, x, y)

    made = batches(few, 64, shuffle=True)
    train.fit(model, loss_fn, made, epochs=2, optimizer=optimizer, scheduler=schedule,
              progress=False)  # fmt: skip
    assert rates == pytest.approx([2e-3 / (1 + step) for step in range(10)])


def test_a_schedule_that_waits_for_a_number_is_refused_and_works_in_on_epoch(few, digits):
    model = new_model()
    optimizer = adam(model)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=0)
    options = {"epochs": 4, "optimizer": optimizer, "progress": False}
    made, val = batches(few, 64, shuffle=True), batches(digits.val, 1000)
    with pytest.raises(CourseError, match=r"ReduceLROnPlateau.*on_epoch"):
        train.fit(model, losses.reconstruction, made, val, scheduler=plateau, **options)
    train.fit(model, losses.reconstruction, made, val, **options,
              on_epoch=lambda row: plateau.step(1.0))  # fmt: skip
    assert optimizer.param_groups[0]["lr"] == pytest.approx(2e-3 / 8)


def test_layers_that_share_a_weight_train_keep_and_resume(few, tmp_path):
    class Tied(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.down, self.up = torch.nn.Linear(784, 784), torch.nn.Linear(784, 784)
            self.up.weight = self.down.weight

        def forward(self, x):
            return self.up(self.down(x.flatten(1)).tanh()).view_as(x), None

        def pixels(self, logits):
            return logits.sigmoid()

    def tied(**options):
        torch.manual_seed(0)
        model = Tied()
        train.fit(model, losses.reconstruction, batches(few, 100, seed=5, shuffle=True),
                  optimizer=adam(model), progress=False, **options)  # fmt: skip
        return model

    path, whole = tmp_path / "checkpoint", tied(epochs=2)
    tied(epochs=1, checkpoint=path)
    resumed = tied(epochs=2, checkpoint=path, resume=True)
    assert resumed.up.weight is resumed.down.weight
    assert torch.equal(resumed.up.weight, whole.up.weight)


def test_on_epoch_sees_each_row_as_it_comes(few):
    rows = []
    _, history = fitted(few, on_epoch=rows.append)
    assert rows == history and len(rows) == 3


def test_zero_epochs_change_nothing(few):
    model, history = fitted(few, epochs=0)
    assert history == []
    for a, b in zip(model.parameters(), new_model().parameters(), strict=True):
        assert torch.equal(a, b)


def test_nothing_is_printed_where_output_is_no_terminal(few, capfd):
    fitted(few)
    made = batches(few, 64)
    model = new_model()
    train.fit(model, losses.reconstruction, made, epochs=1, optimizer=adam(model))
    assert capfd.readouterr() == ("", "")


# ------------------------------------------------------------------------------------- precision


def test_bf16_runs_in_bf16_and_learns_about_the_same(few):
    kinds = set()

    def loss_fn(model, x, y):
        kinds.add(model(x)[0].dtype)
        return losses.reconstruction(model, x, y)

    model, history = fitted(few, epochs=5, loss_fn=loss_fn, precision="bf16")
    _, exact = fitted(few, epochs=5)
    assert kinds == {torch.bfloat16}
    assert all(p.dtype == torch.float32 for p in model.parameters())
    assert history[-1]["train_loss"] == pytest.approx(exact[-1]["train_loss"], rel=0.03)
    assert history != exact


def test_only_negligible_moments_are_dropped():
    """Moments so small that they move nothing become zero; all others keep their every bit."""
    model = new_model()
    optimizer = adam(model)
    model(torch.rand(4, 1, 28, 28))[0].sum().backward()
    optimizer.step()
    moment = optimizer.state[model.encoder[1].weight]["exp_avg"]
    moment.view(-1)[:4] = torch.tensor([1e-31, -1e-35, 1e-20, -1e-12])
    before = {p: {k: v.clone() for k, v in optimizer.state[p].items()} for p in model.parameters()}
    numerics.drop_negligible(optimizer)
    assert moment.view(-1)[:4].tolist() == pytest.approx([0, 0, 1e-20, -1e-12], abs=0, rel=1e-6)
    for p, state in before.items():
        for key, value in state.items():
            now = optimizer.state[p][key]
            kept = value.abs() >= 1e-30
            assert torch.equal(now[kept], value[kept]) and not now[~kept].any(), key


def test_an_unknown_precision_is_refused(few):
    with pytest.raises(CourseError, match=r"fp8.*float32, bf16"):
        fitted(few, precision="fp8")


# -------------------------------------------------------------------------------------- evaluate


def test_evaluate_averages_over_images_not_over_batches(few):
    """300 images in batches of 128: the last has 44 and must not weigh as much as the others."""
    model = new_model()
    uneven = train.evaluate(model, losses.sparse_reconstruction, batches(few, 128))
    with torch.no_grad():
        x = few.x.double() / 255
        model.double()
        logits, z = model(x)
        sse = (logits.sigmoid() - x).square().sum(dim=(1, 2, 3)).mean().item()
        l1 = z.abs().sum(dim=1).mean().item()
    assert uneven == pytest.approx({"loss": sse + l1, "sse": sse, "l1": l1}, rel=1e-6)


@pytest.mark.parametrize("size", [1, 7, 100, 300, 1000])
def test_evaluate_does_not_depend_on_the_batch_size(few, size):
    model = new_model()
    one = train.evaluate(model, losses.reconstruction, batches(few, 300))
    assert train.evaluate(model, losses.reconstruction, batches(few, size)) == pytest.approx(
        one, rel=1e-6
    )


@pytest.mark.parametrize("training", [True, False])
def test_evaluate_leaves_mode_and_gradients_as_they_were(few, training):
    model = new_model().train(training)
    seen = Recorder()
    train.evaluate(model, seen, batches(few, 100))
    assert [(mode, grad) for mode, _, grad, _ in seen.calls] == [(False, False)] * 3
    assert model.training is training
    assert all(p.grad is None for p in model.parameters())
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("training", [True, False])
def test_evaluate_leaves_the_mode_where_the_loss_fails(few, training):
    model = new_model().train(training)
    with pytest.raises(ZeroDivisionError):
        train.evaluate(model, lambda model, x, y: 1 / 0, batches(few, 100))
    assert model.training is training


def test_evaluate_draws_the_same_noise_and_leaves_the_random_state(few):
    def noisy(model, x, y):
        return {"loss": torch.randn(()) + x.mean() * 0}

    torch.manual_seed(3)
    before = torch.get_rng_state()
    one = train.evaluate(new_model(), noisy, batches(few, 100))
    torch.manual_seed(4)
    after = torch.get_rng_state()
    other = train.evaluate(torch.nn.Identity(), noisy, batches(few, 100))
    assert one == other
    assert torch.equal(torch.get_rng_state(), after) and not torch.equal(before, after)


def test_running_means_are_exact_over_many_batches():
    """Ten million images: sums in float32 would be off by more than a part in 10^9."""
    losses = torch.rand(10_000, generator=torch.Generator().manual_seed(0))
    means = train.RunningMeans()
    for loss in losses:
        means.add({"loss": loss.clone().requires_grad_()}, 1000)
    assert means.result()["loss"] == pytest.approx(float(losses.double().mean()), rel=1e-12)


# ----------------------------------------------------------------------------------------- loaders


class Stream:
    """Batches that are made on the way and rest nowhere; nothing but a Loader."""

    device = torch.device("cpu")

    def __init__(self, split):
        self.made, self.epoch = batches(split, 64, seed=5, shuffle=True), 0

    def __len__(self):
        return len(self.made)

    def __iter__(self):
        self.made.epoch = self.epoch
        self.epoch += 1
        yield from self.made


def test_a_stream_trains_and_evaluates_like_batches(few):
    model, optimizer = (made := new_model()), adam(made)
    history = train.fit(model, losses.reconstruction, Stream(few), Stream(few), epochs=2,
                        optimizer=optimizer, progress=False)  # fmt: skip
    expected, rows = fitted(few, epochs=2, val=batches(few, 64))
    for a, b in zip(model.parameters(), expected.parameters(), strict=True):
        assert torch.equal(a, b)
    assert history[-1]["val_loss"] == pytest.approx(rows[-1]["val_loss"], rel=1e-6)


def test_a_dataloader_is_refused_in_words(few):
    loader = torch.utils.data.DataLoader([(x, 0) for x in few.x], 64)
    model = new_model()
    for use in (
        lambda: train.evaluate(model, losses.reconstruction, loader),
        lambda: train.fit(model, losses.reconstruction, loader, epochs=1, optimizer=adam(model)),
    ):
        with pytest.raises(CourseError, match=r"a DataLoader, which lacks.*data\.batches\(split"):
            use()


class NoBatches:
    """A loader whose stream is empty."""

    device, epoch = torch.device("cpu"), 0

    def __len__(self):
        return 0

    def __iter__(self):
        return iter(())


def test_a_loader_without_batches_is_refused(few):
    model = new_model()
    for use in (
        lambda: train.evaluate(model, losses.reconstruction, NoBatches()),
        lambda: train.fit(
            model, losses.reconstruction, NoBatches(), epochs=1, optimizer=adam(model)
        ),
    ):
        with pytest.raises(CourseError, match="has no batches"):
            use()


# ------------------------------------------------------------------------------- when it goes wrong


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number_stops_the_training(few, value):
    calls = []

    def loss_fn(model, x, y):
        calls.append(1)
        terms = losses.reconstruction(model, x, y)
        return terms | {"loss": terms["loss"] * value} if len(calls) == 8 else terms

    with pytest.raises(train.Diverged, match=r"(nan|inf) in epoch 2") as caught:
        fitted(few, epochs=5, loss_fn=loss_fn)
    assert isinstance(caught.value, CourseError)
    assert "learning rate" in str(caught.value)
    assert len(calls) <= 10


def test_nan_stops_long_before_the_end_of_a_long_epoch(few):
    calls = []

    def loss_fn(model, x, y):
        calls.append(1)
        return {"loss": model(x)[0].mean() * (math.nan if len(calls) == 20 else 1)}

    model = new_model()
    with pytest.raises(train.Diverged):
        train.fit(model, loss_fn, batches(few, 1), epochs=1, optimizer=adam(model), progress=False)
    assert len(calls) <= 20 + train.CHECK_EVERY


def diverging(good_steps):
    """Return a loss whose gradient is NaN from the step after `good_steps`, its value never."""
    calls = []

    def loss_fn(model, x, y):
        calls.append(1)
        terms = losses.reconstruction(model, x, y)
        if model.training and len(calls) > good_steps:
            nothing = 0 * model.encoder[1].weight
            terms["loss"] = terms["loss"] + nothing.square().sum().sqrt()  # slope: 0 / 0
        return terms

    return loss_fn


def test_weights_that_became_nan_in_the_last_step_are_not_kept(few, digits, tmp_path):
    """The loss of a step is computed before its update: only a look at the result finds this."""
    path, val = tmp_path / "checkpoint.safetensors", batches(digits.val, 1000)
    with pytest.raises(train.Diverged, match="epoch 2"):
        fitted(few, epochs=5, val=val, loss_fn=diverging(good_steps=10), checkpoint=path)
    tensors, info = checkpoint.load(path)
    assert len(info["history"]) == 1
    assert all(t.isfinite().all() for t in tensors.values() if t.is_floating_point())


def test_the_last_good_checkpoint_outlives_a_divergence(few, tmp_path):
    path, good = tmp_path / "checkpoint.safetensors", tmp_path / "good.safetensors"
    fitted(few, epochs=1, checkpoint=good)
    calls = []

    def loss_fn(model, x, y):
        calls.append(1)
        terms = losses.reconstruction(model, x, y)
        return terms | {"loss": terms["loss"] * (math.nan if len(calls) > 7 else 1)}

    with pytest.raises(train.Diverged):
        fitted(few, epochs=3, loss_fn=loss_fn, checkpoint=path)
    assert path.read_bytes() == good.read_bytes()


def interrupt_in(epoch, split):
    """Return a loss that behaves like Ctrl-C in the middle of an epoch (counted from 1)."""
    steps = -(-len(split) // 64)
    calls = []

    def loss_fn(model, x, y):
        calls.append(1)
        if len(calls) == (epoch - 1) * steps + 3:
            raise KeyboardInterrupt
        return losses.reconstruction(model, x, y)

    return loss_fn


def test_ctrl_c_keeps_finished_epochs_and_says_how_to_go_on(few, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    with pytest.raises(train.Interrupted, match=r"2 finished epochs.*--resume"):
        fitted(few, epochs=5, loss_fn=interrupt_in(3, few), checkpoint=path)
    assert [row["epoch"] for row in checkpoint.load(path)[1]["history"]] == [1, 2]


def test_ctrl_c_before_the_first_checkpoint(few, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    with pytest.raises(train.Interrupted, match="nothing is kept"):
        fitted(few, loss_fn=interrupt_in(1, few), checkpoint=path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(train.Interrupted, match="no checkpoint was asked for"):
        fitted(few, loss_fn=interrupt_in(1, few))


# ------------------------------------------------------------------------------------ small things


def test_parameter_count_counts_what_is_trained():
    model = new_model()
    total = sum(np.prod(p.shape) for p in model.parameters())
    assert train.parameter_count(model) == total
    model.encoder.requires_grad_(False)
    assert train.parameter_count(model) == sum(np.prod(p.shape) for p in model.decoder.parameters())


def test_seeding_makes_models_equal():
    runtime.seed_everything(4)
    one = Autoencoder()
    runtime.seed_everything(4)
    other = Autoencoder()
    assert torch.equal(one.encoder[1].weight, other.encoder[1].weight)

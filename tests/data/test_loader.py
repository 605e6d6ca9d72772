"""Minibatches: every image once per pass, in an order that only seed and epoch decide."""

import numpy as np
import pytest
import torch

from course_utils.data import Batches, Split, as_float, batches
from course_utils.runtime import CourseError


@pytest.fixture
def numbered():
    """Return 103 images whose label is their number, so that an order can be read off."""
    return Split(torch.zeros(103, 1, 2, 2, dtype=torch.uint8), torch.arange(103))


def order(made) -> list[int]:
    """Return the labels of one pass, in the order in which they came."""
    return [int(label) for _, y in made for label in y]


@pytest.mark.parametrize("size", [1, 10, 103, 200])
@pytest.mark.parametrize("shuffle", [False, True])
def test_every_image_comes_exactly_once_in_each_pass(numbered, size, shuffle):
    made = batches(numbered, size, shuffle=shuffle)
    for _ in range(3):
        assert sorted(order(made)) == list(range(103))


def test_images_keep_their_labels(few):
    marked = Split(few.x.clone(), few.y)
    marked.x[:, 0, 0, 0] = few.y.to(torch.uint8)
    for x, y in batches(marked, 32, shuffle=True):
        assert torch.equal((x[:, 0, 0, 0] * 255).round().long(), y)


def test_without_shuffle_the_images_come_as_they_lie(numbered):
    assert order(batches(numbered, 10)) == list(range(103))


def test_every_epoch_has_another_order(numbered):
    made = batches(numbered, 10, shuffle=True)
    passes = [order(made) for _ in range(4)]
    assert len({tuple(p) for p in passes}) == 4
    assert list(range(103)) not in passes


def test_the_order_looks_random(numbered):
    """An image's place in the pass says nothing about its number: no correlation over passes."""
    made = batches(numbered, 10, shuffle=True)
    places = np.concatenate([order(made) for _ in range(50)])
    numbers = np.tile(np.arange(103), 50)
    assert abs(np.corrcoef(places, numbers)[0, 1]) < 4 / np.sqrt(len(places))


def test_the_same_seed_repeats_all_orders_and_another_does_not(numbered):
    def three(seed):
        made = batches(numbered, 10, seed=seed, shuffle=True)
        return [order(made) for _ in range(3)]

    assert three(5) == three(5)
    assert not any(a == b for a, b in zip(three(5), three(6), strict=True))


def test_the_order_of_an_epoch_does_not_need_those_before(numbered):
    through = batches(numbered, 10, seed=3, shuffle=True)
    fourth = [order(through) for _ in range(4)][3]
    resumed = batches(numbered, 10, seed=3, shuffle=True)
    resumed.epoch = 3
    assert order(resumed) == fourth


def test_the_order_depends_on_no_global_generator(numbered):
    torch.manual_seed(1)
    first = order(batches(numbered, 10, shuffle=True))
    before = torch.manual_seed(2).get_state()
    assert order(batches(numbered, 10, shuffle=True)) == first
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("n", "size", "drop_last", "sizes"),
    [
        (10, 4, False, [4, 4, 2]),
        (10, 4, True, [4, 4]),
        (8, 4, False, [4, 4]),
        (8, 4, True, [4, 4]),
        (3, 4, False, [3]),
    ],
)
def test_the_last_batch(numbered, n, size, drop_last, sizes):
    made = batches(numbered.head(n), size, drop_last=drop_last)
    assert [len(x) for x, _ in made] == sizes
    assert len(made) == len(sizes)


def test_pixels_become_floats_exactly():
    """Each of the 256 values is the float32 nearest to value / 255."""
    values = np.arange(256, dtype=np.uint8)
    floats = as_float(torch.from_numpy(values).reshape(1, 1, 16, 16))
    assert floats.dtype == torch.float32
    nearest = (values / np.float64(255)).astype(np.float32)
    np.testing.assert_array_equal(floats.numpy().ravel(), nearest)
    assert floats.min() == 0 and floats.max() == 1


def test_floats_stay_as_they_are():
    x = torch.rand(2, 1, 3, 3)
    assert as_float(x) is x


def test_batches_hold_what_as_float_makes(few):
    x = torch.cat([x for x, _ in batches(few, 64)])
    np.testing.assert_array_equal(x.numpy(), few.x.numpy().astype(np.float32) / np.float32(255))
    assert x.shape == (300, 1, 28, 28)


def test_a_batch_may_be_kept_and_changed(few):
    """The data rests on the device: what a user does to a batch must not reach it."""
    made = batches(few, 100)
    kept = [x for x, _ in made]
    copies = [x.clone() for x in kept]
    kept[0].zero_()
    again = [x for x, _ in made]
    assert all(torch.equal(a, b) for a, b in zip(again, copies, strict=True))
    assert torch.equal(kept[1], copies[1])


@pytest.mark.parametrize("size", [0, -3, 2.5, "8", None])
def test_a_senseless_batch_size_is_refused(numbered, size):
    with pytest.raises(CourseError, match="batch_size"):
        batches(numbered, size)


def test_no_images_or_too_few_labels_are_refused(numbered):
    with pytest.raises(CourseError, match="0 images"):
        batches(numbered.head(0), 4)
    with pytest.raises(CourseError, match="103 images with 5 labels"):
        batches(Split(numbered.x, numbered.y[:5]), 4)


def test_dropping_the_only_batch_is_refused(numbered):
    with pytest.raises(CourseError, match="drop_last"):
        batches(numbered.head(3), 4, drop_last=True)


# ------------------------------------------------------------------------------- several processes


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("world", [1, 2, 4])
def test_the_ranks_share_each_batch(numbered, world, shuffle):
    """Their parts, one after another, are the batch of a single process."""
    split, options = numbered.head(96), {"seed": 3, "shuffle": shuffle}
    alone = [y for _, y in batches(split, 32, **options)]
    ranks = [batches(split, 32, rank=r, world=world, **options) for r in range(world)]
    together = [[y for _, y in made] for made in ranks]
    assert all(len(made) == 3 for made in ranks)
    for batch, *parts in zip(alone, *together, strict=True):
        assert len({len(part) for part in parts}) == 1
        assert torch.equal(torch.cat(parts), batch)


def test_batches_that_cannot_be_shared_are_refused(numbered):
    with pytest.raises(CourseError, match="a batch of 10 cannot be shared equally by 4"):
        batches(numbered, 10, world=4, drop_last=True)
    with pytest.raises(CourseError, match=r"a batch of 3 cannot .* drop_last"):
        batches(numbered, 20, world=2)
    assert len(batches(numbered, 20, world=2, drop_last=True)) == 5
    with pytest.raises(CourseError, match="rank 2 of 2 processes"):
        batches(numbered.head(20), 10, rank=2, world=2)


# ------------------------------------------------------------------------------ what comes as data


def images(**changes):
    """Return images and labels that make batches, with changes."""
    return {"x": torch.rand(8, 1, 4, 4), "y": torch.arange(8)} | changes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": np.zeros((8, 1, 4, 4), np.float32)}, r"x is a NumPy array.*torch\.from_numpy\(x\)"),
        ({"y": np.arange(8)}, r"y is a NumPy array.*torch\.from_numpy\(y\)"),
        ({"x": [[0.0] * 4] * 8}, r"x is a list.*torch\.as_tensor\(x\)"),
        ({"x": torch.rand(8, 4, 4)}, r"shape \(8, 4, 4\).*x = x\[:, None\]"),
        ({"x": torch.rand(8)}, r"shape \(8,\); wanted are images"),
        ({"x": torch.rand(8, 1, 4, 4, 1)}, r"wanted are images \(N, C, H, W\) or points"),
        ({"x": torch.rand(8, 1, 4, 4).double()}, r"x is torch\.float64.*x = x\.float\(\)"),
        ({"x": torch.rand(8, 1, 4, 4).half()}, r"x is torch\.float16.*x = x\.float\(\)"),
        ({"x": torch.ones(8, 1, 4, 4).long()}, r"x is torch\.int64.*x\.to\(torch\.uint8\)"),
        ({"x": torch.full((8, 1, 4, 4), np.nan)}, r"NaN or infinite values in 8 of 8 images"),
        ({"x": torch.tensor([[1.0, np.inf]] + 7 * [[0.0, 1.0]])}, r"in 1 of 8 images; leave"),
        ({"y": torch.arange(8).int()}, r"y is torch\.int32.*y = y\.long\(\)"),
        ({"y": torch.full((8,), np.nan)}, r"y has NaN"),
        ({"y": torch.tensor(3)}, r"y is a single number"),
        ({"batch_size": True}, r"batch_size is True"),
    ],
)
def test_what_is_no_data_is_refused_in_one_sentence(changes, message):
    with pytest.raises(CourseError, match=message) as caught:
        Batches(**({"batch_size": 4} | images(**changes)))
    assert len(str(caught.value)) < 200 and ". " not in str(caught.value)


def test_what_the_sentence_advises_mends_it():
    x = torch.rand(8, 4, 4).double()
    x[2, 0, 0] = np.nan
    x = x[:, None]
    x = x.float()
    x = x[x.flatten(1).isfinite().all(1)]
    assert len(Batches(x, torch.arange(7), 7)) == 1


def test_points_in_the_plane_make_batches():
    points = torch.randn(10, 2)
    made = torch.cat([x for x, _ in Batches(points, torch.zeros(10).long(), 4)])
    assert torch.equal(made, points)

"""The conditional GAN: labels that travel with images, a generator and a judge that know them."""

import pytest
import torch
from torch import nn

from course_utils.data.augment import diff_augment
from course_utils.errors import CourseError
from course_utils.models.told_gan import (
    ToldDiscriminator,
    ToldFaceGAN,
    ToldGenerator,
    carried,
    carrying,
)

Y = torch.tensor([0, 1, 2, 3, 1])


@pytest.fixture
def generator():
    """Return a narrow generator whose classes differ, in eval mode."""
    torch.manual_seed(0)
    net = ToldGenerator(width=8)
    for bias in net.biases:
        nn.init.normal_(bias.weight, 0, 0.3)
    return net.eval()


def test_a_label_travels_with_an_image_through_shifts_and_flips():
    torch.manual_seed(0)
    x = torch.rand(5, 3, 64, 64) * 2 - 1
    for n_classes in (2, 3, 4):
        y = Y % n_classes
        both = carrying(x, y, n_classes)
        assert both.shape == (5, 4, 64, 64) and both[:, :3].equal(x)
        assert both[:, 3].min() == -1 and both[:, 3].max() == 1
        for _ in range(20):
            assert carried(diff_augment(("flip", "shift"))(both), n_classes).equal(y)


def test_bytes_of_the_data_and_levels_of_the_generator_are_the_same():
    from course_utils.data import Split
    from course_utils.data.attributes import with_plane

    x = torch.zeros(5, 3, 64, 64, dtype=torch.uint8)
    real = 2 * (with_plane(Split(x, Y), 85) / 255) - 1
    made = carrying(2 * (x / 255) - 1, Y, 4)
    torch.testing.assert_close(real, made)


def test_the_label_decides_and_at_first_does_not(generator):
    z = torch.randn(5, 128)
    faces = [generator.draw(z, torch.full((5,), y)) for y in range(4)]
    assert all(not torch.allclose(faces[0], other) for other in faces[1:])
    torch.manual_seed(0)
    fresh = ToldGenerator(width=8).eval()
    assert fresh.draw(z, Y).equal(fresh.face(z))
    with pytest.raises(CourseError, match="labels run from 0 to 4"):
        fresh.draw(z, torch.arange(5))


def test_labels_are_drawn_as_often_as_their_rates(generator):
    generator.rates.copy_(torch.tensor([0.5, 0.3, 0.15, 0.05]))
    u = torch.randn(100_000, generator=torch.Generator().manual_seed(1))
    shares = torch.bincount(generator.labels(u), minlength=4) / len(u)
    torch.testing.assert_close(shares, generator.rates, rtol=0, atol=0.006)


def test_a_code_gives_a_face_and_its_label(generator):
    z = torch.randn(6, generator.code_dim, generator=torch.Generator().manual_seed(2))
    both = generator(z)
    y = generator.labels(z[:, 128])
    assert both.shape == (6, 4, 64, 64) and len(set(y.tolist())) > 1
    assert carried(both, 4).equal(y) and both[:, :3].equal(generator.draw(z[:, :128], y))


def test_the_judge_has_a_last_layer_of_each_class_beside_the_common_one():
    torch.manual_seed(0)
    judge = ToldDiscriminator(width=4)
    x = torch.rand(5, 3, 64, 64) * 2 - 1
    both = carrying(x, Y, 4)
    torch.testing.assert_close(judge(both), judge.judge(x))  # at first the label says nothing
    nn.init.normal_(judge.of_class.weight, 0, 0.1)
    whole = nn.Conv2d(32, 4, 4)  # one filter for each class
    with torch.no_grad():
        whole.weight.copy_(judge.judge.last.weight + judge.of_class.weight.view(4, 32, 4, 4))
        whole.bias.copy_(judge.judge.last.bias.expand(4))
    logits = whole(judge.judge.features(x))[..., 0, 0]
    torch.testing.assert_close(judge(both), logits[torch.arange(5), Y], rtol=1e-4, atol=1e-4)


def test_no_slope_goes_through_the_label():
    judge = ToldDiscriminator(width=4)
    nn.init.normal_(judge.of_class.weight)
    both = carrying(torch.rand(5, 3, 64, 64), Y, 4).requires_grad_()
    (slope,) = torch.autograd.grad(judge(both).sum(), both)
    assert slope[:, 3].abs().max() == 0 and slope[:, :3].abs().max() > 0


def test_the_pair_has_the_generator_of_chapter_06():
    from course_utils.recipes.face_gan import load_face_generator

    pair, kept = ToldFaceGAN(), load_face_generator()
    assert {k: v.shape for k, v in pair.generator.face.state_dict().items()} == {
        k: v.shape for k, v in kept.state_dict().items()
    }

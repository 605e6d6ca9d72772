"""What the tests of losses share."""

import pytest
import torch
from small_models import SHAPE, small_vae


@pytest.fixture
def model():
    """Return a small VAE for images of 4 x 4."""
    return small_vae()


@pytest.fixture
def x():
    """Return 12 grey images of 4 x 4."""
    return torch.rand(12, *SHAPE, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def binary(x):
    """Return 12 black and white images of 4 x 4."""
    return x.round()

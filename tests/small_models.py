"""Small models with lively weights, which the tests of losses share."""

import torch

from course_utils.models import VAE

SHAPE = (1, 4, 4)


def lively(model):
    """Return the model with weights large enough that means, variances and images differ."""
    torch.manual_seed(0)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn_like(p) * (0.7 if p.ndim > 1 else 0.3))
    return model.eval()


def small_vae():
    """Return a small VAE for images of SHAPE."""
    return lively(VAE(widths=(8,), code_dim=3, image_shape=SHAPE))

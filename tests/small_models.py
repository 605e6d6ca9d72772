"""Small models with lively weights, which the tests share."""

import torch

from course_utils.models import VAE, ConditionalVAE

SHAPE = (1, 4, 4)


def lively(model):
    """Return the model with weights large enough that means, variances and images differ."""
    torch.manual_seed(0)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn_like(p) * (0.7 if p.ndim > 1 else 0.3))
    return model.eval()


def enlarged(model, factor=3.0):
    """Return the model with weights large enough for outputs to differ, in eval mode."""
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(factor)
    return model.eval()


def small_vae():
    """Return a small VAE for images of SHAPE."""
    return lively(VAE(widths=(8,), code_dim=3, image_shape=SHAPE))


def small_conditional(kind=ConditionalVAE, condition="both"):
    """Return a conditional model for images of SHAPE with four classes."""
    torch.manual_seed(0)
    return kind((12,), 3, n_classes=4, condition=condition, image_shape=SHAPE).eval()

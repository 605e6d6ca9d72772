"""One architecture per file; logits out; nothing but torch."""

from course_utils.models.autoencoder import Autoencoder
from course_utils.models.classifier import Classifier
from course_utils.models.conditional import ConditionalAutoencoder, ConditionalVAE
from course_utils.models.conv_autoencoder import (
    ConvAutoencoder,
    DeepConvAutoencoder,
    ResizeConvAutoencoder,
    SignedConvAutoencoder,
)
from course_utils.models.conv_vae import ConvVAE
from course_utils.models.deep import CodeRBM, DeepAutoencoder
from course_utils.models.denoising import DenoisingMLP, LinearUNet, UNet
from course_utils.models.learned_prior import ConvMixtureVAE, MixtureVAE
from course_utils.models.mlp import MLP
from course_utils.models.rbm import RBM
from course_utils.models.vae import VAE

__all__ = [
    "MLP",
    "RBM",
    "VAE",
    "Autoencoder",
    "Classifier",
    "CodeRBM",
    "ConditionalAutoencoder",
    "ConditionalVAE",
    "ConvAutoencoder",
    "ConvMixtureVAE",
    "ConvVAE",
    "DeepAutoencoder",
    "DeepConvAutoencoder",
    "DenoisingMLP",
    "LinearUNet",
    "MixtureVAE",
    "ResizeConvAutoencoder",
    "SignedConvAutoencoder",
    "UNet",
]

"""One architecture per file; logits out; nothing but torch."""

from course_utils.models.autoencoder import Autoencoder

__all__ = ["Autoencoder"]

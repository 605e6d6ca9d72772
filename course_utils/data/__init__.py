"""Data sets as uint8 tensors, checked, split, and with their source named.

    digits = data.mnist()
    digits.train.x      # (55000, 1, 28, 28) uint8, in the full profile
    digits.source       # "real" or "drawn"
    people = data.faces()

Where the images come from is settled by COURSE_SOURCE: `auto` takes the data folder, else a
verified download, else draws digits; `real` and `drawn` insist.
"""

from __future__ import annotations

from course_utils.data.collection import Collection, announce, forget
from course_utils.data.dataset import Dataset, Split
from course_utils.data.lfw import LFW, faces
from course_utils.data.loader import Batches, as_float, batches
from course_utils.data.mnist_like import DIGITS, FASHION, GARMENTS, MNIST, fashion, mnist

__all__ = [
    "COLLECTIONS",
    "DIGITS",
    "GARMENTS",
    "Batches",
    "Collection",
    "Dataset",
    "Split",
    "announce",
    "as_float",
    "batches",
    "faces",
    "fashion",
    "forget",
    "mnist",
]

# by their words after `course data`
COLLECTIONS: dict[str, Collection] = {found.command: found for found in (MNIST, FASHION, LFW)}

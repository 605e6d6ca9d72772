"""MNIST and Fashion-MNIST: four files each, verified before a pixel is believed.

Reading them is done here and not by torchvision: importing torchvision alone takes longer than
everything below, and a damaged file deserves a better message than an assertion. torchvision knows
where the files are, and is asked when they are fetched.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import torch

from course_utils import folders
from course_utils.data import cache, idx
from course_utils.data.collection import Collection
from course_utils.data.dataset import Dataset, Split
from course_utils.data.mirrors import Mirrors
from course_utils.errors import CourseError

# train images, train labels, test images, test labels
FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
SIZES = {"quick": (10_000, 1_000, 2_000), "full": (55_000, 5_000, 10_000)}  # train, val, test
SPLIT_SEED = 0  # of the permutation that sets 5,000 of the 60,000 training images aside
DIGITS = tuple("0123456789")
GARMENTS = ("T-shirt", "trousers", "pullover", "dress", "coat",
            "sandal", "shirt", "sneaker", "bag", "ankle boot")  # fmt: skip


class MnistLike(Collection):
    """70,000 grey images of 28x28 pixels in ten classes, published in four IDX files.

    Args:
        name, title: as in `Collection`; the title is torchvision's name for the class too.
        kind: what is drawn in its place: "digits" or "garments".
        classes: the ten names behind the labels.
        sha256: of the four unpacked files, in the order of FILES.
    """

    def __init__(
        self, name: str, title: str, kind: str, classes: tuple[str, ...], sha256: tuple[str, ...]
    ):
        self.name, self.title, self.kind, self.classes = name, title, kind, classes
        self.sha256 = dict(zip(FILES, sha256, strict=True))
        self.command, self.folder = title.lower(), f"{title}/raw"
        self.files, self.sizes = FILES, dict(SIZES)

    # ---------------------------------------------------------------------------------- the files

    def raw(self, root: Path) -> Path:
        """Return the folder of the four files below a data folder, where torchvision has it too."""
        return root / self.folder

    def missing(self, root: Path) -> list[str]:
        return [name for name in FILES if self.file(root, name) is None]

    def file(self, root: Path, name: str) -> Path | None:
        """Return where a file lies: unpacked, or as published with .gz at its end; else None."""
        plain = self.raw(root) / name
        places = (plain, plain.with_name(f"{name}.gz"))
        return next((path for path in places if folders.is_file(path)), None)

    def content(self, root: Path, name: str) -> bytes:
        """Return the verified content of a file, unpacked.

        Raises CourseError for one that is missing, truncated, corrupt, or not the published one.
        """
        fetch = f"course data {self.command}"
        path = self.file(root, name)
        if path is None:
            raise CourseError(f"{self.raw(root) / name} is missing; run: {fetch}")
        content = folders.read_bytes(path)
        try:
            return self.published(idx.unpacked(content) if path.suffix == ".gz" else content, name)
        except idx.Damaged as error:
            raise CourseError(
                f"{path} is damaged: {error}. Delete it and fetch it again with: {fetch}"
            ) from None

    def published(self, content: bytes, name: str) -> bytes:
        """Return `content` if it is the published file `name`; else raise Damaged."""
        if hashlib.sha256(content).hexdigest() != self.sha256[name]:
            idx.parse(content)  # may know better what is wrong
            raise idx.Damaged(f"its SHA-256 is not that of the published {name}")
        return content

    def verify(self, root: Path) -> str:
        for name in FILES:
            self.content(root, name)
        return "is what was published: four files, SHA-256 checked"

    def fetch(self, root: Path, archive: Path | None = None) -> None:
        """Fetch the files that `root` lacks or that are damaged; see `Collection.fetch`.

        COURSE_MIRROR, where set, is asked before torchvision's mirrors. All files are there and
        verified before the first is written; what else is in the folders stays as it is.
        """
        if archive:
            raise CourseError(
                f"{self.title} is four files, no archive; put them into {self.raw(root)}, "
                "or name their folder in COURSE_MIRROR"
            )
        raw = folders.make_folder(self.raw(root))  # before anything is downloaded for nothing
        with folders.lock(raw.parent / ".lock", f"{self.title} in {raw}"):
            wanted = [name for name in FILES if not self.is_good(root, name)]
            mirrors = Mirrors(self.mirrors() if wanted else [], self.title)
            contents = {name: mirrors.get(f"{name}.gz", self.accept(name)) for name in wanted}
            for name, content in contents.items():
                folders.sweep(raw / name)
                folders.write_atomically(raw / name, content)

    def is_good(self, root: Path, name: str) -> bool:
        """Tell whether a file is there and the published one."""
        try:
            return bool(self.content(root, name))
        except CourseError:
            return False

    def accept(self, name: str) -> Callable[[bytes], bytes]:
        """Return the function that unpacks and verifies what a mirror gave for the file `name`."""

        def unpacked(content: bytes) -> bytes:
            packed = content.startswith(idx.GZIP)
            return self.published(idx.unpacked(content) if packed else content, name)

        return unpacked

    def mirrors(self) -> list[str]:
        """Return the addresses that torchvision knows."""
        import torchvision.datasets

        return list(getattr(torchvision.datasets, self.title).mirrors)

    # --------------------------------------------------------------------------------- the splits

    def read(self, root: Path) -> tuple[torch.Tensor, ...]:
        """Read and verify the four files below `root`.

        Returns train images (60000, 1, 28, 28) uint8, train labels (60000,) int64, and the 10,000
        test images and labels likewise. Raises CourseError as `content` does.
        """
        train_x, train_y, test_x, test_y = (idx.parse(self.content(root, name)) for name in FILES)
        return train_x.unsqueeze(1), train_y.long(), test_x.unsqueeze(1), test_y.long()

    def real(self, root: Path, profile: str) -> Dataset:
        train_x, train_y, test_x, test_y = self.read(root)
        pool = Split(train_x, train_y)
        order = torch.randperm(len(pool), generator=torch.Generator().manual_seed(SPLIT_SEED))
        origin = hashlib.sha256("".join(self.sha256.values()).encode()).hexdigest()
        return self.split(self.name, origin, pool, order, Split(test_x, test_y), profile)

    def drawn(self, profile: str) -> Dataset:
        n_train, n_val, n_test = self.sizes[profile]
        pool = Split(*cache.drawn_images(self.kind, n_train + n_val, seed=0))
        test = Split(*cache.drawn_images(self.kind, n_test, seed=1))
        origin = f"{self.kind} {cache.fingerprint()}"
        return self.split(
            f"drawn {self.kind}", origin, pool, torch.arange(len(pool)), test, profile
        )

    def split(
        self, name: str, origin: str, pool: Split, order: torch.Tensor, test: Split, profile: str
    ) -> Dataset:
        """Cut the training images into train and val: the first and the last of `order`."""
        n_train, n_val, n_test = sizes = self.sizes[profile]
        val, train = order[-n_val:], order[:n_train]
        return Dataset(
            name=name,
            source="real" if name == self.name else "drawn",
            sha256=hashlib.sha256(f"{origin} {sizes} {SPLIT_SEED}".encode()).hexdigest(),
            train=Split(pool.x.index_select(0, train), pool.y[train]),
            val=Split(pool.x.index_select(0, val), pool.y[val]),
            test=test.head(n_test),
            classes=self.classes,
        )


MNIST = MnistLike(
    "mnist",
    "MNIST",
    "digits",
    DIGITS,
    (
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
)
FASHION = MnistLike(
    "fashion-mnist",
    "FashionMNIST",
    "garments",
    GARMENTS,
    (
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
)


def mnist(source: str | None = None, profile: str | None = None) -> Dataset:
    """Return the handwritten digits: real MNIST, or drawn digits where there is none.

    Args:
        source: "auto", "real" or "drawn"; COURSE_SOURCE where None.
        profile: "full" for all 70,000 images, "quick" for 13,000; COURSE_PROFILE where None.

    Raises CourseError when the files are incomplete or damaged, or `source` is "real" and there
    are none. Source of the data: LeCun, Cortes and Burges, 1998.
    """
    return MNIST.load(source, profile)


def fashion(source: str | None = None, profile: str | None = None) -> Dataset:
    """Return pictures of clothes, 28x28 like the digits (Xiao, Rasul and Vollgraf, 2017).

    Arguments and errors as in `mnist`; the stand-in without real data are drawn silhouettes.
    """
    return FASHION.load(source, profile)

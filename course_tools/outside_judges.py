"""Judges from elsewhere: do networks of others take the kept generator's samples for faces?

    python -m course_tools.outside_judges [--out FILE] [--kept FOLDER]

Two face detectors and an identity network, which the course neither trained nor chose anything by,
look at samples beside photographs of people. They are no part of the course's environment: make a
copy of it, and install into that

    pip install --no-deps dlib-bin==20.0.1.post1 facenet-pytorch==2.6.0
    pip install --no-deps --no-build-isolation face_recognition_models==0.3.0

LFW has to be at hand (`course data lfw`). It takes about a quarter of an hour of one core; what was
seen is kept in FOLDER, so that a run that was broken off goes on. The result goes to FILE, by
default to the asset that chapter 06 reads; its hash for `course_utils/recipes/face_gan.py` is
printed. Exit status 2 where a package or the data are missing.

Licences: the detector, the five landmarks and the identity network of dlib are in the public domain
(CC0); face_recognition_models holds them beside a file of 68 landmarks that is not for commercial
use and is not used here. MTCNN in facenet-pytorch is under the MIT licence.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
from importlib import metadata
from pathlib import Path

import torch
from torch.nn import functional as F

from course_tools.gan_ladder.pictures import codes
from course_tools.keep_faces import drawn
from course_utils import console, data, folders, metrics, provenance
from course_utils.data import drawn_faces
from course_utils.errors import CourseError
from course_utils.recipes import face_gan

PACKAGES = {"dlib": "dlib-bin", "facenet_pytorch": "facenet-pytorch",
            "face_recognition_models": "face_recognition_models"}  # fmt: skip
WEIGHTS = {
    "face_recognition_models": ("models/mmod_human_face_detector.dat",
                                "models/shape_predictor_5_face_landmarks.dat",
                                "models/dlib_face_recognition_resnet_model_v1.dat"),
    "facenet_pytorch": ("data/pnet.pt", "data/rnet.pt", "data/onet.pt"),
}  # fmt: skip
SIDE = 128  # pixels that 64 are enlarged to: both detectors then find nearly every real face
BOX = (-7, -7, 130, 130)  # where dlib's detector sees the face of a deep-funneled photograph
SEED = 10  # of the samples' codes, which nothing was chosen by
N, N_CONTROL = 1000, 100  # pictures of a kind
RUNGS = ("dcgan", "spectral", "r1", "augmented", "relativistic", "final", "faces", "faces_on",
         "ae", "vae", "vae_gan", "source", "source_range", "source_equal", "source_mended",
         "clever", "dull", "collapse")  # fmt: skip


# -------------------------------------------------------------------------------------- the judges


def missing() -> list[str]:
    """Return what would have to be installed, by its name in the package index."""
    return [name for module, name in PACKAGES.items() if importlib.util.find_spec(module) is None]


def weights(module: str) -> list[Path]:
    """Return the files of weights that a package brings; the package is not imported."""
    folder = Path(importlib.util.find_spec(module).origin).parent
    return [folder / name for name in WEIGHTS[module]]


class Judges:
    """dlib's convolutional detector, MTCNN, and dlib's residual network that tells people apart.

    Sources: King 2015, arXiv 1502.00046, and dlib.net; Zhang, Zhang, Li and Qiao 2016, arXiv
    1604.02878. Raises CourseError where their packages are not installed.
    """

    def __init__(self):
        if lacking := missing():
            raise CourseError(
                f"the judges are not installed here ({', '.join(lacking)} missing); in a copy of "
                f"the environment: pip install --no-deps --no-build-isolation {' '.join(lacking)}"
            )
        import dlib
        from facenet_pytorch import MTCNN

        detector, landmarks, identity = map(str, weights("face_recognition_models"))
        self.dlib = dlib
        self.detector = dlib.cnn_face_detection_model_v1(detector)
        self.landmarks = dlib.shape_predictor(landmarks)
        self.identity = dlib.face_recognition_model_v1(identity)
        self.mtcnn = MTCNN(device="cpu")

    def found(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return in which pictures (N, 3, 64, 64) uint8 each detector finds a face, (N,) bool."""
        pictures = enlarged(x)
        by_dlib = [len(self.detector(p, 0)) > 0 for p in pictures]
        by_mtcnn = [self.mtcnn.detect(p)[0] is not None for p in pictures]
        return {"dlib": torch.tensor(by_dlib), "mtcnn": torch.tensor(by_mtcnn)}

    def descriptors(self, x: torch.Tensor) -> torch.Tensor:
        """Return who is on pictures (N, 3, 64, 64) uint8, as vectors (N, 128).

        All are read at one place, so that a picture in which no face is found is read too.
        """
        box = self.dlib.rectangle(*BOX)
        chips = [self.dlib.get_face_chip(p, self.landmarks(p, box)) for p in enlarged(x)]
        said = self.identity.compute_face_descriptor(chips)
        return torch.tensor([list(row) for row in said], dtype=torch.float64)


def enlarged(x: torch.Tensor) -> list:
    """Return pictures (N, 3, H, W) uint8 as arrays (SIDE, SIDE, 3) uint8."""
    large = F.interpolate(x.float(), size=SIDE, mode="bicubic", antialias=True)
    return list(large.clamp(0, 255).round().byte().permute(0, 2, 3, 1).contiguous().numpy())


# ---------------------------------------------------------------------------------- the arithmetic


def share(found: torch.Tensor) -> float:
    """Return the share of True."""
    return round(float(found.double().mean()), 4)


def apart(a: torch.Tensor) -> torch.Tensor:
    """Return the distances of all pairs of vectors (N, D), each pair once."""
    return F.pdist(a)


def percentiles(values: torch.Tensor) -> list[float]:
    """Return 101 numbers: least, first percentile, ..., 99th, largest."""
    at = torch.linspace(0, 1, 101, dtype=torch.float64)
    return [round(float(v), 4) for v in values.double().quantile(at)]


def twins(near: torch.Tensor, of_new_people: torch.Tensor) -> float:
    """Return the share of distances that are less than the first percentile of new people's."""
    return share(near < of_new_people.double().quantile(0.01))


def row(seen: dict, held: dict, pool: dict, n: int = N) -> dict:
    """Return what is kept of a kind of pictures.

    Args:
        seen: of the pictures: "dlib" and "mtcnn", (N,) bool, and "identity" (M, 128) or none.
        held: the same of held-out people.
        pool: the same of training people.
        n: so many identities at most have their pairs and their Fréchet distance taken.
    """
    names = ("dlib", "mtcnn")
    kept = {"n": len(seen["dlib"]), "found": {name: share(seen[name]) for name in names}}
    kept["found"]["neither"] = share(~seen["dlib"] & ~seen["mtcnn"])
    if "identity" not in seen:
        return kept
    own = seen["identity"]
    kept |= {"identified": len(own), "apart": percentiles(apart(own[:n]))}
    if own is not held["identity"]:
        distance = metrics.frechet_distance(held["identity"][:n], own[:n])
        kept["FD"] = round(distance, 4)
    if own is not pool["identity"]:
        near, of_new_people = (
            metrics.nearest_neighbours(who, pool["identity"]).distances[:, 0]
            for who in (own, held["identity"])
        )
        kept |= {"nearest": percentiles(near), "twins": twins(near, of_new_people)}
    return kept


# ------------------------------------------------------------------------------------ the pictures


def one_each(y: torch.Tensor) -> torch.Tensor:
    """Return the row of each person's first picture, the people in random order.

    Args:
        y: who is on each picture (N,).
    """
    first = [int(torch.nonzero(y == person)[0]) for person in y.unique()]
    order = torch.randperm(len(first), generator=torch.Generator().manual_seed(0))
    return torch.tensor(first)[order]


def second_pictures(y: torch.Tensor, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return which of the people of `rows` have another picture, and the row of their second."""
    pairs = [(i, torch.nonzero(y == y[r]).flatten()) for i, r in enumerate(rows.tolist())]
    pairs = [(i, int(of[1])) for i, of in pairs if len(of) > 1]
    which, second = zip(*pairs, strict=True)
    return torch.tensor(which), torch.tensor(second)


def spoiled(x: torch.Tensor, mean: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return controls made of faces x (N, 3, 64, 64) uint8, and drawn ones.

    Args:
        mean: face of all, (3, 64, 64) uint8.
    """
    from torchvision.transforms.v2.functional import gaussian_blur

    n, generator = len(x), torch.Generator().manual_seed(0)
    return {
        "blurred by 2 pixels": gaussian_blur(x, [13, 13], [2.0, 2.0]),
        "blurred by 4 pixels": gaussian_blur(x, [25, 25], [4.0, 4.0]),
        "upside down": x.flip(2),
        "the mean face": mean[None],
        "noise": torch.randint(0, 256, (n, 3, 64, 64), generator=generator).byte(),
        "drawn faces": drawn_faces.faces(n, seed=SEED)[0],
    }


# -------------------------------------------------------------------------------------- the result


def looked_at(judges, name: str, x: torch.Tensor, folder: Path | None, detect: int = N,
              identify: bool = False) -> dict:  # fmt: skip
    """Return what the judges say of pictures, from `folder` where they have seen them before.

    Args:
        name: of the pictures.
        x: pictures (N, 3, 64, 64) uint8.
        folder: for what was seen; None keeps nothing.
        detect: the detectors look at so many at most.
        identify: the identity network looks at all.
    """
    path = folder and folder / f"{name.replace(' ', '_')}.safetensors"
    mark = hashlib.sha256(x.contiguous().numpy().tobytes()).hexdigest()
    about = {"pictures": mark, "detect": detect, "identify": identify, "side": SIDE}
    if path and folders.is_file(path):
        kept, info = folders.read_sealed(path)
        if info == about:
            return kept
    found = judges.found(x[:detect])
    if identify:
        found["identity"] = torch.cat([judges.descriptors(part) for part in x.split(100)])
    if path:
        folders.write_sealed(path, found, about)
    console.say(f"{name}: {', '.join(f'{k} {share(found[k])}' for k in ('dlib', 'mtcnn'))}")
    return found


def judged(judges, people: data.Dataset, samples: torch.Tensor, others: dict[str, torch.Tensor],
           folder: Path | None = None) -> dict:  # fmt: skip
    """Return all that the judges say: rows of each kind of pictures, and which samples to look at.

    Args:
        judges: with `found` and `descriptors`, as `Judges`.
        people: training and held-out people, uint8.
        samples: of the kept generator (N, 3, 64, 64) uint8.
        others: more pictures, by name, shown to the detectors alone.
        folder: for what was seen.
    """
    held_x, held_y = (torch.cat([getattr(people.val, k), getattr(people.test, k)]) for k in "xy")
    trained, new = one_each(people.train.y), one_each(held_y)[:N]

    def look(name, x, detect=N, identify=True):
        return looked_at(judges, name, x, folder, detect, identify)

    pool = look("training people", people.train.x[trained], detect=3 * N_CONTROL)
    held = look("held-out people", held_x[new])
    made = look("samples", samples)
    which, second = second_pictures(held_y, new)
    again = look("second photographs", held_x[second], detect=1)
    same = (held["identity"][which] - again["identity"]).norm(dim=1)
    near, who = (n[:, 0] for n in metrics.nearest_neighbours(made["identity"], pool["identity"]))
    rows = {"held-out people": row(held, held, pool), "training people": row(pool, held, pool),
            "samples": row(made, held, pool)}  # fmt: skip
    mean = people.train.x.float().mean(0).round().byte()
    for name, x in (spoiled(held_x[new][:N_CONTROL], mean) | others).items():
        rows[name] = row(look(name, x, identify=False), held, pool)
    closest = near.argsort()[:10]
    return {
        "pictures": rows,
        "same person": percentiles(same),
        "missed": {d: torch.nonzero(~made[d]).flatten().tolist() for d in ("dlib", "mtcnn")},
        "missed people": {d: new[~held[d]].tolist() for d in ("dlib", "mtcnn")},
        "closest": [[int(i), int(trained[who[i]]), round(float(near[i]), 4)] for i in closest],
    }


def about(people: data.Dataset) -> dict:
    """Return where the numbers come from: data, generator, judges, device and versions."""
    files = [path for module in WEIGHTS for path in weights(module)]
    hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    versions = {name: metadata.version(name) for name in PACKAGES.values()}
    return {
        "made_by": "course_tools/outside_judges.py",
        "data": people.name, "data_sha256": people.sha256,
        "generator": face_gan.SHA256["face_generator.safetensors"], "seed": SEED, "side": SIDE,
        "weights": hashes, "device": provenance.device_label(),
        "versions": provenance.versions() | versions,
    }  # fmt: skip


@console.command
def main(words: list[str] | None = None) -> None:
    """Judge and write the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=face_gan.ASSETS / "outside_judges.json")
    parser.add_argument("--kept", type=Path, help="folder for what was seen so far")
    args = parser.parse_args(words)
    judges = Judges()
    people = data.faces("real", "full")
    samples = drawn(face_gan.load_face_generator(), codes(N, SEED))
    rungs = {f"rung {name}": face_gan.ladder_samples(name) for name in RUNGS}
    found = judged(judges, people, samples, rungs, args.kept)
    folders.write_json(args.out, about(people) | found)
    print(f'"{args.out.name}": "{hashlib.sha256(args.out.read_bytes()).hexdigest()}",')


if __name__ == "__main__":
    raise SystemExit(main())

"""The tool that asks other people's networks about samples: its arithmetic, and what it keeps."""

import json
import math
import re
from pathlib import Path

import pytest
import torch

from course_tools import outside_judges as tool
from course_utils.data.dataset import Dataset, Split
from course_utils.errors import CourseError
from course_utils.recipes import face_gan


class Toy:
    """Judges that read a picture's first pixel: a face from 100, and who it is in two numbers."""

    def __init__(self):
        self.asked = 0

    def found(self, x):
        self.asked += len(x)
        return {"dlib": x[:, 0, 0, 0] >= 100, "mtcnn": x[:, 0, 0, 0] >= 50}

    def descriptors(self, x):
        return x[:, :2, 0, 0].double()


def pictures(*pixels):
    """Return pictures (N, 3, 64, 64) uint8 whose first pixels' first two channels are given."""
    x = torch.zeros(len(pixels), 3, 64, 64, dtype=torch.uint8)
    for i, pair in enumerate(pixels):
        x[i, :2, 0, 0] = torch.tensor(pair, dtype=torch.uint8)
    return x


def few_people():
    """Return four training people, one of whom has two pictures, and three held-out ones."""
    train = pictures((100, 0), (100, 200), (200, 0), (200, 200), (0, 255))
    val, test = pictures((110, 0), (110, 3)), pictures((90, 200), (200, 90), (200, 95))
    y = torch.tensor
    parts = Split(train, y([0, 1, 2, 3, 3])), Split(val, y([4, 4])), Split(test, y([5, 6, 6]))
    return Dataset("lfw", "real", "0" * 64, *parts, classes=tuple("abcdefg"))


@pytest.fixture
def toy(monkeypatch):
    """The tool with two numbers to a descriptor: too few pictures for a Fréchet distance."""
    monkeypatch.setattr(tool.metrics, "frechet_distance", lambda a, b: 0.5)
    return Toy()


# ---------------------------------------------------------------------------------- the arithmetic


def test_each_pair_counts_once():
    a = torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]], dtype=torch.float64)
    assert sorted(tool.apart(a).tolist()) == pytest.approx([1.0, math.sqrt(18), 5.0])


def test_shares_and_percentiles_are_numpys():
    import numpy as np

    values = torch.rand(333, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    expected = np.percentile(values.numpy(), range(101))
    assert tool.percentiles(values) == pytest.approx(expected, abs=6e-5)
    assert tool.share(torch.tensor([True, False, True, True])) == 0.75


def test_twins_are_counted_against_new_people():
    new = torch.linspace(1, 2, 101, dtype=torch.float64)  # the first percentile is 1.01
    assert tool.twins(torch.tensor([0.5, 1.005, 1.02, 3.0]).double(), new) == 0.5
    assert tool.twins(new, new) == pytest.approx(0.01, abs=1e-3)


def test_a_person_has_one_picture_and_perhaps_a_second():
    y = torch.tensor([7, 3, 7, 9, 3, 7])
    rows = tool.one_each(y)
    assert sorted(rows.tolist()) == [0, 1, 3] and rows.equal(tool.one_each(y))
    which, second = tool.second_pictures(y, rows)
    assert {int(y[rows[i]]): int(s) for i, s in zip(which, second, strict=True)} == {7: 2, 3: 4}


# -------------------------------------------------------------------------------------- the result


def test_the_whole_on_toys(toy):
    """Every number of it counted by hand."""
    samples = pictures((100, 200), (60, 0), (20, 20), (150, 0))
    found = tool.judged(toy, few_people(), samples, {"rung": pictures((99, 0), (100, 0))})
    rows = found["pictures"]
    assert rows["samples"]["n"] == 4
    assert rows["samples"]["found"] == {"dlib": 0.5, "mtcnn": 0.75, "neither": 0.25}
    assert rows["rung"]["found"] == {"dlib": 0.5, "mtcnn": 1.0, "neither": 0.0}
    assert "nearest" not in rows["rung"]
    # pool: (100, 0), (100, 200), (200, 0), (200, 200); not the second picture (0, 255)
    assert rows["training people"]["identified"] == 4
    assert rows["samples"]["nearest"][0] == 0 and rows["samples"]["nearest"][-1] == (
        pytest.approx(math.dist((20, 20), (100, 0)), abs=1e-4)
    )
    # held-out people lie 10, 10 and 90 away, so the first percentile is 10: one sample is nearer
    assert rows["held-out people"]["nearest"][::50] == [10.0, 10.0, 90.0]
    assert rows["samples"]["twins"] == 0.25
    assert rows["samples"]["apart"][0] == pytest.approx(math.dist((60, 0), (20, 20)), abs=1e-4)
    assert found["missed"] == {"dlib": [1, 2], "mtcnn": [2]}
    assert found["missed people"] == {"dlib": [2], "mtcnn": []}
    assert found["closest"][0] == [0, 1, 0.0]
    assert found["same person"][::100] == [3.0, 5.0]
    assert "FD" in rows["samples"] and "FD" not in rows["held-out people"]
    json.dumps(found)


def test_what_was_seen_is_not_asked_again(toy, tmp_path):
    first = tool.looked_at(toy, "a b", pictures((100, 0)), tmp_path, identify=True)
    again = tool.looked_at(toy, "a b", pictures((100, 0)), tmp_path, identify=True)
    assert toy.asked == 1 and again["identity"].equal(first["identity"])
    tool.looked_at(toy, "a b", pictures((101, 0)), tmp_path, identify=True)
    assert toy.asked == 2


def test_pictures_are_enlarged_as_pillow_does():
    import numpy as np
    from PIL import Image

    generator = torch.Generator().manual_seed(2)
    x = torch.randint(90, 166, (2, 3, 64, 64), generator=generator).byte()  # nothing to cut off
    for own, given in zip(tool.enlarged(x), x.permute(0, 2, 3, 1).numpy(), strict=True):
        size = (tool.SIDE, tool.SIDE)
        other = np.asarray(Image.fromarray(given).resize(size, Image.Resampling.BICUBIC))
        assert own.shape == other.shape and own.flags["C_CONTIGUOUS"]
        assert np.abs(own.astype(int) - other).max() <= 2  # it rounds between its two passes


def test_without_the_judges_it_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(tool.PACKAGES, "a_judge_that_nobody_has", "nobodys-judge")
    assert tool.main([]) == 2
    assert "nobodys-judge missing" in capsys.readouterr().err
    with pytest.raises(CourseError, match="pip install"):
        tool.Judges()


# ----------------------------------------------------------------------------------- what is kept


def test_what_is_kept_is_whole_and_agrees_with_itself():
    """Of the weights that are kept, by judges that are named, and without a contradiction."""
    kept = face_gan.outside_judges()
    assert kept["generator"] == face_gan.SHA256["face_generator.safetensors"]
    assert kept["data"] == "lfw" and kept["seed"] == tool.SEED and kept["side"] == tool.SIDE
    assert set(tool.PACKAGES.values()) <= set(kept["versions"]) and "torch" in kept["versions"]
    files = [Path(name).name for names in tool.WEIGHTS.values() for name in names]
    assert set(kept["weights"]) == set(files)
    assert all(re.fullmatch("[0-9a-f]{64}", sha256) for sha256 in kept["weights"].values())

    rows = kept["pictures"]
    assert {f"rung {name}" for name in tool.RUNGS} < set(rows)
    assert rows["samples"]["n"] == rows["held-out people"]["n"] == 1000
    for row in rows.values():
        shares = row["found"]
        assert all(0 <= share <= 1 for share in shares.values())
        assert shares["neither"] <= 1 - max(shares["dlib"], shares["mtcnn"]) + 1e-4
        for name in ("nearest", "apart"):
            if name in row:
                assert len(row[name]) == 101 and row[name] == sorted(row[name])
    for name, of in (("missed", "samples"), ("missed people", "held-out people")):
        for detector, lost in kept[name].items():
            assert len(lost) == round(1000 * (1 - rows[of]["found"][detector]))
    assert rows["held-out people"]["twins"] == pytest.approx(0.01, abs=2e-3)
    distances = [distance for _, _, distance in kept["closest"]]
    assert distances == sorted(distances) and distances[0] == rows["samples"]["nearest"][0]
    assert all(0 <= i < 1000 and 0 <= person < 10_794 for i, person, _ in kept["closest"])

"""The attributes of faces: the table read, refused where it is wrong, joined to the photographs."""

import lfw_like
import pytest

from course_utils import data
from course_utils.data import attributes, drawn_faces, lfw
from course_utils.errors import CourseError

COLUMNS = ("Smiling", "Eyeglasses", "Sunglasses")
HEADER = "file,Male," + ",".join(COLUMNS)


def written(path, *lines, header=HEADER):
    """Write a table and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def test_columns_are_found_by_name_wherever_they_stand(tmp_path):
    lines = "1,0,Ada_L/Ada_L_0001.jpg,1.5", "0,1,Ada_L/Ada_L_0002.jpg,-2"
    path = written(tmp_path / "t.csv", *lines, header="Sunglasses,Smiling,file,Eyeglasses")
    assert attributes.read_scores(path, COLUMNS) == {
        ("Ada_L", 1): (0.0, 1.5, 1.0),
        ("Ada_L", 2): (1.0, -2.0, 0.0),
    }


def test_a_score_above_zero_says_yes_and_any_glasses_count():
    scores = {("A", 1): (0, 0, 0), ("A", 2): (1, 0, 0), ("A", 3): (-0.4, 0, 0.1),
              ("A", 4): (0.2, 3, 0), ("B", 1): (0, -1, -1)}  # fmt: skip
    assert list(attributes.kinds_of(scores).values()) == [0, 1, 2, 3, 0]
    assert attributes.KINDS == ("neither", "smiling", "glasses", "both")


@pytest.mark.parametrize(
    ("lines", "header", "says"),
    [
        ([], "file,Male,Smiling,Eyeglasses", "no column 'Sunglasses'; its first line must name"),
        ([], "photo,Smiling,Eyeglasses,Sunglasses", "no column 'file'"),
        (["Ada_0001.jpg,1,0,0"], HEADER, r"line 2, Sunglasses: None is no number"),
        (["Ada_0001.jpg,1,yes,0,0"], HEADER, r"line 2, Smiling: 'yes' is no number"),
        (["Ada_0001.jpg,1,nan,0,0"], HEADER, r"line 2, Smiling: 'nan' is no number"),
        (["Ada_0001.jpg,1,0,0,0", "Ada_1.jpg,1,0,0,0"], HEADER, r"line 3: 'Ada_1.jpg' is no photo"),
        (["A/A_0001.jpg,1,0,0,0", "A_0001.jpg,1,1,0,0"], HEADER, r"3: A_0001.jpg stands .* twice"),
    ],
)  # fmt: skip
def test_a_wrong_table_is_refused_with_its_line(tmp_path, lines, header, says):
    with pytest.raises(CourseError, match=says):
        attributes.read_scores(written(tmp_path / "t.csv", *lines, header=header), COLUMNS)


def test_an_absent_table_says_where_it_belongs(tmp_path):
    with pytest.raises(CourseError, match=r"nowhere.csv is not there; put the table .* there, or"):
        attributes.read_scores(tmp_path / "nowhere.csv", COLUMNS)


def test_photographs_are_joined_by_name_and_number():
    kinds = {("Ada_L", 2): 3, ("Ada_L", 12): 1, ("Bo", 2): 2}
    names = ["Bo_0002.jpg", "Ada_L_0012.jpg", "Ada_L_0002.jpg"]
    assert attributes.joined(names, kinds).tolist() == [2, 1, 3]
    most = ["Bo_0002.jpg"] * 19
    assert attributes.joined([*most, "Bo_0003.jpg"], kinds).tolist() == [2] * 19 + [-1]
    with pytest.raises(CourseError, match="knows 1 of 2 photographs; it belongs to other ones"):
        attributes.joined(["Bo_0002.jpg", "Bo_0003.jpg"], kinds)


@pytest.fixture
def labelled_lfw(small_lfw, few_photographs):
    """Return the kinds of 24 photographs of which the table lacks one, and all names."""
    lfw_like.archive(small_lfw / "lfw-deepfunneled.tgz", few_photographs)
    lfw.LFW.fetch(small_lfw / "data", small_lfw / "lfw-deepfunneled.tgz")
    names = sorted(few_photographs)
    kinds = {name: i % 4 for i, name in enumerate(names) if i != 5}
    lines = [f"{n.rsplit('_', 1)[0]}/{n},1,{k % 2},{k // 2},0" for n, k in kinds.items()]
    written(small_lfw / "data" / "lfw" / attributes.TABLE, *reversed(lines))
    return kinds, names


def test_photographs_get_their_own_labels_and_stay_with_their_people(labelled_lfw):
    kinds, names = labelled_lfw
    people, faces = data.faces(profile="full"), attributes.smiles_and_glasses(profile="full")
    assert (faces.name, faces.source, faces.classes) == ("lfw", "real", attributes.KINDS)
    assert faces.sha256 != people.sha256
    x, same = lfw.decoding.cached(lfw.LFW.find())
    assert same == names
    for part in ("train", "val", "test"):
        ours, theirs = getattr(faces, part), getattr(people, part)
        assert len(theirs) - len(ours) == sum(x[5].equal(face) for face in theirs.x)
        for face, y in zip(ours.x, ours.y, strict=True):
            assert any(face.equal(other) for other in theirs.x)
            (row,) = [i for i in range(24) if x[i].equal(face)]
            assert kinds[names[row]] == int(y)


def test_without_the_table_faces_are_drawn_and_it_is_said(small_lfw, few_photographs, capsys):
    lfw_like.archive(small_lfw / "lfw-deepfunneled.tgz", few_photographs)
    lfw.LFW.fetch(small_lfw / "data", small_lfw / "lfw-deepfunneled.tgz")
    assert data.faces(profile="quick").source == "real"
    found = attributes.smiles_and_glasses(profile="quick")
    assert found.source == "drawn" and found.classes == attributes.KINDS
    said = capsys.readouterr().out
    assert f"its attributes ({small_lfw / 'data' / 'lfw' / attributes.TABLE}) are not" in said
    with pytest.raises(CourseError, match="put the table of LFW's attributes there"):
        attributes.smiles_and_glasses("real", "quick")
    assert data.faces("real", "quick").source == "real"  # the photographs alone are there


def test_drawn_faces_are_labelled_by_what_they_were_drawn_from():
    faces = attributes.smiles_and_glasses("drawn", "quick")
    _, factors = lfw.drawn_images(3_000, seed=0)
    smile = factors[:2_000, drawn_faces.NAMES.index("smile")] > 0
    glasses = factors[:2_000, drawn_faces.NAMES.index("glasses")] > 0
    assert (faces.train.y % 2).bool().equal(smile) and (faces.train.y // 2).bool().equal(glasses)
    hair = attributes.hairstyles("quick")
    assert hair.name == "drawn faces" and hair.train.x.equal(faces.train.x)
    assert hair.classes == drawn_faces.HAIRSTYLES and set(hair.train.y.tolist()) == {0, 1, 2, 3}

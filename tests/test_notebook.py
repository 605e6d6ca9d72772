"""What a lesson shows beside figures: sources, tables, and the shapes that layers make."""

import base64
import io
import re

import numpy as np
import pytest
import torch
from torch import nn

from course_utils import claims, losses, notebook
from course_utils.errors import CourseError
from course_utils.models import Autoencoder, UNet


def hooks(model) -> int:
    """Return how many hooks listen to the layers of a model."""
    return sum(len(layer._forward_hooks) for layer in model.modules())


def test_shapes_of_blocks_are_a_row_for_each_named_part():
    model = UNet((2, 4, 8))
    lines = notebook.shapes(model, torch.rand(1, 1, 28, 28), blocks=True).data.splitlines()[2:]
    names = [line.split("`")[1] for line in lines]
    assert names == [
        "down_1", "down_2", "bottom", "enlarge_2", "up_2", "enlarge_1", "up_1", "last"
    ]  # fmt: skip
    assert "| Conv2d, BatchNorm2d, ReLU | 1 × 8 × 7 × 7 |" in lines[2]
    counts = [int(line.split("|")[-2].replace(",", "")) for line in lines]
    assert sum(counts) == sum(p.numel() for p in model.parameters())


def test_shapes_lists_each_layer_with_what_it_makes():
    model = Autoencoder(widths=(5,), code_dim=2, image_shape=(1, 4, 4))
    lines = notebook.shapes(model, torch.rand(3, 1, 4, 4)).data.splitlines()
    cells = [[c.strip() for c in line.strip("|").split("|")] for line in lines]
    assert cells[0] == ["layer", "kind", "output", "parameters"]
    assert cells[3] == ["`encoder.1`", "Linear", "3 × 5", "85"]
    assert cells[-1] == ["`decoder.3`", "Unflatten", "3 × 1 × 4 × 4", "0"]
    assert hooks(model) == 0


def test_a_model_that_fails_keeps_no_hooks():
    """Left behind, they would go on taking notes at each later call."""
    model = nn.Sequential(nn.Linear(4, 3), nn.Linear(2, 1))
    with pytest.raises(RuntimeError):
        notebook.shapes(model, torch.rand(1, 4))
    assert hooks(model) == 0


def test_source_is_that_of_the_package():
    text = notebook.source(losses.squared_error, losses.negative_elbo).data
    assert text.startswith("```python\ndef squared_error(") and text.endswith("\n```")
    assert "\n@wants(UNIT)\ndef negative_elbo(\n" in text  # not that of what looks at its input


def test_folded_source_is_the_same_behind_a_line():
    text = notebook.source(losses.squared_error, folded=True).data
    first, *_, last = text.split("\n\n")
    assert first == "<details><summary>Source of <code>squared_error</code></summary>"
    assert last == "</details>"
    assert notebook.source(losses.squared_error).data in text


def test_tables_show_four_significant_digits():
    text = notebook.table([{"a": 1 / 3, "b": "x"}, {"a": 2, "b": 1e6 / 7}]).data
    assert text.splitlines() == ["| a | b |", "| --- | --- |", "| 0.3333 | x |",
                                 "| 2 | 1.429e+05 |"]  # fmt: skip


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ((96.1, 97.2, 100.4), "97.9 ± 2.2"),
        ((0.99336, 0.98416, 0.94903), "0.976 ± 0.023"),
        ((100, 140), "120 ± 28"),
        ((1e-5, 3e-5), "0.000020 ± 0.000014"),
        ((80.04,), "80.04"),
        ((2.0, 2.0), "2"),
        # the cosines of chapter 01, and other numbers with more decimals than anybody reads
        ((0.999997, 0.999999), "0.999998 ± 1.4e-06"),
        ((0.9999998, 0.9999999), "1.00000 ± 7.1e-08"),
        ((123456.7, 123456.7 + 2e-8), "123457 ± 1.4e-08"),
        ((2e-9, 4e-9), "3.0e-09 ± 1.4e-09"),
        ((-1e-8, 1e-8), "0.00000 ± 1.4e-08"),
    ],
)
def test_tables_show_means_to_two_digits_of_their_spread(values, shown):
    text = notebook.table([{"a": claims.over_runs(values)}]).data
    assert text.splitlines()[-1] == f"| {shown} |"


def test_a_strip_is_a_picture_in_a_cell_of_a_table():
    """Read back by another package, pixel by pixel; words and table survive any name."""
    from PIL import Image

    x = torch.rand(5, 1, 6, 4)
    cell = notebook.strip(x, "a | b [c]", n=3)
    words, content = re.fullmatch(r"!\[(.+)\]\(data:image/png;base64,(.+)\)", cell).groups()
    assert words == "a / b (c)" and "|" not in cell
    picture = Image.open(io.BytesIO(base64.b64decode(content)))
    assert picture.size == (3 * 4 + 2 * 2, 6) and picture.mode == "L"
    pixels = torch.from_numpy(np.array(picture)) / 255
    assert torch.allclose(pixels[:, 6:10], x[1, 0], atol=1 / 500)
    assert (pixels[:, 4:6] == 1).all()  # the gap is white
    colours = notebook.strip(torch.rand(2, 3, 6, 4), "in colour")
    assert Image.open(io.BytesIO(base64.b64decode(colours[:-1].split(",")[1]))).mode == "RGB"


def test_a_sound_is_a_wav_file_with_words():
    """Read back by another package, sample by sample."""
    from scipy.io import wavfile

    wave = torch.sin(torch.arange(800) / 8)
    shown = notebook.sound(wave / 3, 8000, "A note & its <octave>").data
    assert shown.count("A note &amp; its &lt;octave&gt;") == 2 and "controls" in shown
    content = base64.b64decode(re.search(r"base64,([^\"]+)\"", shown)[1])
    rate, samples = wavfile.read(io.BytesIO(content))
    assert rate == 8000 and samples.dtype.name == "int16"
    assert abs(torch.from_numpy(samples / 32767) - wave / wave.abs().max()).max() < 1e-4


@pytest.mark.parametrize(
    "wave", [torch.zeros(0), torch.zeros(2, 100), torch.tensor([0.0, float("nan")])]
)
def test_what_is_no_sound_is_refused(wave):
    with pytest.raises(CourseError, match="finite samples"):
        notebook.sound(wave, 8000, "words")


def test_silence_is_a_sound():
    assert "audio" in notebook.sound(torch.zeros(100), 8000, "silence").data

"""Where a run happens: names that exist, and what was used."""

import random
import subprocess
import sys

import numpy as np
import pytest
import torch

from course_utils import runtime
from course_utils.runtime import CourseError


def test_the_profile_is_the_argument_else_the_variable_else_quick(monkeypatch):
    monkeypatch.delenv("COURSE_PROFILE", raising=False)
    assert runtime.profile() == "quick"
    monkeypatch.setenv("COURSE_PROFILE", "full")
    assert runtime.profile() == "full"
    assert runtime.profile("quick") == "quick"


def test_an_unknown_profile_is_refused(monkeypatch):
    with pytest.raises(CourseError, match=r"'fast' is unknown.*quick, full"):
        runtime.profile("fast")
    monkeypatch.setenv("COURSE_PROFILE", "FULL")
    with pytest.raises(CourseError, match="'FULL' is unknown"):
        runtime.profile()


def test_the_device_is_the_argument_else_the_variable_else_the_best(monkeypatch):
    assert runtime.device("cpu") == torch.device("cpu")
    monkeypatch.setenv("COURSE_DEVICE", "cpu")
    assert runtime.device() == torch.device("cpu")
    monkeypatch.delenv("COURSE_DEVICE")
    assert runtime.device().type == runtime.best_device()


@pytest.mark.parametrize("name", ["toaster", "cuda:99", "cpu:x", "xpu", "vulkan", "hpu", "meta"])
def test_a_device_that_cannot_compute_here_is_refused(name):
    with pytest.raises(CourseError, match=rf"device '{name}' cannot be used here.*--device cpu"):
        runtime.device(name)


def test_seeding_reaches_python_numpy_and_torch():
    def draw():
        return [random.random(), np.random.rand(), torch.rand(1).item()]

    runtime.seed_everything(7)
    one = draw()
    assert draw() != one
    runtime.seed_everything(7)
    assert draw() == one
    runtime.seed_everything(8)
    assert not set(draw()) & set(one)


def test_autocast():
    a = torch.rand(3, 3)
    cpu = torch.device("cpu")
    with runtime.autocast(cpu):
        assert (a @ a).dtype == torch.float32
    with runtime.autocast(cpu, "bf16"):
        assert (a @ a).dtype == torch.bfloat16
    with pytest.raises(CourseError, match=r"'half' is unknown.*float32, bf16"):
        runtime.autocast(cpu, "half")


# --------------------------------------------------------------------------------- what was used


def test_data_in_use():
    before = runtime.data_in_use()
    runtime.use_data("mnist")
    assert runtime.data_in_use() == "mnist"
    runtime.use_data(before)


def test_versions_and_device_label():
    found = runtime.versions()
    assert found["torch"] == torch.__version__.partition("+")[0]
    assert found["numpy"] == np.__version__
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert runtime.device_label(torch.device("cpu")).startswith("cpu (")
    assert f"{torch.get_num_threads()} threads" in runtime.device_label()


def test_runtime_and_claims_start_without_torch():
    """The book is built where torch is not installed."""
    code = (
        "import sys; import course_utils.runtime, course_utils.claims;"
        "course_utils.runtime.profile(); course_utils.runtime.cache_dir();"
        "course_utils.runtime.versions();"
        "assert not {'torch', 'numpy', 'safetensors'} & set(sys.modules), 'too much is imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

"""Where a run happens: names that exist, folders that can be written, files that are whole."""

import os
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


# ---------------------------------------------------------------------------------------- folders


def test_the_data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    assert runtime.data_dir() == tmp_path.resolve()
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "gone"))
    with pytest.raises(CourseError, match="gone', which is not there"):
        runtime.data_dir()
    (tmp_path / "file").touch()
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "file"))
    with pytest.raises(CourseError, match="file', which is a file, not a folder"):
        runtime.data_dir()
    monkeypatch.delenv("COURSE_DATA")
    assert runtime.data_dir() == runtime.cache_dir() / "data"


def test_cache_and_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    monkeypatch.delenv("COURSE_RUNS", raising=False)
    assert runtime.cache_dir() == tmp_path.resolve()
    assert runtime.runs_dir() == tmp_path.resolve() / "runs"
    monkeypatch.setenv("COURSE_RUNS", str(tmp_path / "elsewhere"))
    assert runtime.runs_dir() == tmp_path.resolve() / "elsewhere"
    monkeypatch.delenv("COURSE_CACHE")
    assert "autoencoder-course" in str(runtime.cache_dir())


def test_make_folder(tmp_path):
    assert runtime.make_folder(tmp_path / "a" / "b").is_dir()
    assert list((tmp_path / "a" / "b").iterdir()) == []
    (tmp_path / "file").touch()
    for taken in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(CourseError, match=r"cannot write to .*file.*--out DIR"):
            runtime.make_folder(taken)


def test_a_full_disk_is_noticed_before_hours_of_training(tmp_path, full_disk):
    with full_disk(after=0), pytest.raises(CourseError, match="cannot write to"):
        runtime.make_folder(tmp_path)


@pytest.mark.skipif(
    os.name != "posix" or os.geteuid() == 0, reason="the administrator may write everywhere"
)
def test_a_folder_without_permission(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(CourseError, match=r"cannot write to .*Permission denied"):
        runtime.make_folder(tmp_path)


# -------------------------------------------------------------------------------- atomic writing


def test_write_atomically(tmp_path):
    path = tmp_path / "new" / "file"
    runtime.write_atomically(path, "ümläut\n")
    assert path.read_bytes() == "ümläut\n".encode()
    runtime.write_atomically(path, b"\0\1")
    assert path.read_bytes() == b"\0\1"
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file(tmp_path, full_disk):
    path = tmp_path / "file"
    runtime.write_atomically(path, "old")
    with full_disk(after=100), pytest.raises(CourseError, match=r"cannot write to .*file.*free"):
        runtime.write_atomically(path, "new" * 1000)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_no_reader_ever_sees_a_part(tmp_path, monkeypatch):
    """Until the very rename the old content is there, and after it the new one."""
    path = tmp_path / "file"
    runtime.write_atomically(path, "old")
    seen = []
    replace = os.replace

    def watched(source, target):
        seen.append(path.read_text())
        replace(source, target)
        seen.append(path.read_text())

    monkeypatch.setattr(os, "replace", watched)
    runtime.write_atomically(path, "new")
    assert seen == ["old", "new"]


def test_replacing_moves_nothing_when_its_body_fails(tmp_path):
    path = tmp_path / "file"
    runtime.write_atomically(path, "old")
    with pytest.raises(KeyboardInterrupt), runtime.replacing(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


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

"""Where a run happens: names that exist, and what was used."""

import os
import random
import subprocess
import sys

import numpy as np
import pytest
import torch

from course_utils import provenance, runtime
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


@pytest.mark.parametrize("name", ["toaster", "cuda:99", "cpu:x", "xpu", "vulkan", "hpu", "meta",
                                  "xla"])  # fmt: skip
def test_a_device_that_cannot_compute_here_is_refused(name):
    with pytest.raises(
        CourseError, match=rf"device '{name}' (cannot|is unknown).*--device cpu"
    ) as told:
        runtime.device(name)
    assert len(str(told.value)) < 400  # torch names all that it knows


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
    runtime.use_data("fashion-mnist")
    runtime.use_data("mnist")
    assert runtime.data_in_use() == "mnist"  # the last use counts, not the first
    runtime.use_data(before)


def test_versions_and_device_label():
    found = runtime.versions()
    assert found["torch"] == torch.__version__.partition("+")[0]
    assert found["numpy"] == np.__version__
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert runtime.device_label(torch.device("cpu")).startswith("cpu (")
    with runtime.using_threads(1):
        assert runtime.device_label().endswith(", 1 thread)")
    with runtime.using_threads(2):
        assert runtime.device_label().endswith(", 2 threads)")


def test_old_labels_of_devices_are_said_as_today():
    old = "cpu (AMD EPYC, 1 threads)"
    assert provenance.said_today(old) == "cpu (AMD EPYC, 1 thread)"
    assert provenance.said_today("cpu (X, 11 threads)") == "cpu (X, 11 threads)"
    before = provenance.runs_used("old")
    provenance.use_run("old", 0, old, {})
    assert before == [] and provenance.runs_used("old")[0].device == "cpu (AMD EPYC, 1 thread)"
    provenance.forget()


def test_runtime_and_claims_start_without_torch():
    """The book is built where torch is not installed."""
    code = (
        "import sys; import course_utils.runtime, course_utils.claims;"
        "course_utils.runtime.profile(); course_utils.runtime.cache_dir();"
        "course_utils.runtime.versions();"
        "assert not {'torch', 'numpy', 'safetensors'} & set(sys.modules), 'too much is imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# ------------------------------------------------------------------------- precision and threads


@pytest.mark.parametrize(
    ("flags", "chosen"),
    [
        ("fpu sse2 avx2 avx512f avx512_bf16", "bf16"),
        ("fpu avx2 amx_tile amx_bf16", "bf16"),
        ("fpu sse2 avx2 avx512f avx512bw", "float32"),
        ("", "float32"),
    ],
)
def test_auto_is_bf16_where_the_processor_has_it(tmp_path, monkeypatch, flags, chosen):
    info = tmp_path / "cpuinfo"
    info.write_text(f"processor : 0\nflags\t\t: {flags}\nbugs\t\t: amx_bf16\n")
    found = runtime.processor_flags(info)
    assert found == set(flags.split())
    monkeypatch.setattr(runtime, "processor_flags", lambda: found)
    assert runtime.precision_on(torch.device("cpu")) == chosen
    for wanted in ("float32", "bf16"):  # what is said is done
        assert runtime.precision_on(torch.device("cpu"), wanted) == wanted


def test_no_flags_are_known_off_linux(tmp_path):
    assert runtime.processor_flags(tmp_path / "absent") == set()


@pytest.mark.parametrize(("capability", "chosen"), [((7, 5), "float32"), ((8, 0), "bf16")])
def test_auto_is_float32_on_a_card_that_emulates(monkeypatch, capability, chosen):
    """A T4 has capability 7.5, and says that bf16 is supported."""
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda on: capability)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *a, **b: True)
    assert runtime.precision_on(torch.device("cuda")) == chosen


def test_auto_is_float32_on_other_devices_and_other_words_are_refused():
    assert runtime.precision_on(torch.device("mps")) == "float32"
    with pytest.raises(CourseError, match="'half' is unknown; choose one of: float32, bf16, auto"):
        runtime.precision_on(torch.device("cpu"), "half")


@pytest.fixture
def four_cores(monkeypatch):
    """Return a function that says how many of four cores are idle."""
    monkeypatch.delenv("COURSE_THREADS", raising=False)
    monkeypatch.setattr(runtime, "all_threads", lambda: 4)

    def idle(count):
        monkeypatch.setattr(runtime, "idle_cores", lambda: count)

    idle(4.0)
    return idle


def test_threads_are_all_where_the_cores_are_idle_and_the_model_repays_them(four_cores):
    assert runtime.threads_for(200_000) == 4
    four_cores(3.9)
    assert runtime.threads_for(200_000) == 4
    four_cores(3.0)  # somebody computes on one
    assert runtime.threads_for(200_000) == 1
    four_cores(4.0)
    assert runtime.threads_for(5_000) == 1


def test_threads_are_what_is_said(four_cores, monkeypatch):
    assert runtime.threads_for(10, 3) == 3
    monkeypatch.setenv("COURSE_THREADS", "2")
    assert runtime.threads_for(10) == 2 and runtime.threads_for(10, 3) == 3
    monkeypatch.setenv("COURSE_THREADS", "auto")
    assert runtime.threads_for(200_000) == 4
    for wrong in ("two", "0", "-1", "1.5", "99999"):
        monkeypatch.setenv("COURSE_THREADS", wrong)
        with pytest.raises(CourseError, match=r"COURSE_THREADS is .*whole number"):
            runtime.threads_for(10)
    for wrong in ("2", True, 0, 2.0):
        with pytest.raises(CourseError, match=r"threads is .*whole number"):
            runtime.threads_for(10, wrong)


def test_using_threads_ends_with_its_block():
    before = torch.get_num_threads()
    with pytest.raises(KeyboardInterrupt), runtime.using_threads(before + 1):
        assert torch.get_num_threads() == before + 1
        raise KeyboardInterrupt
    assert torch.get_num_threads() == before == runtime.all_threads()


STAT = """cpu  {0} 0 0 {1} 0 0 0 0 0 0
cpu0 {2} 0 5 {3} {6} 0 0 0 0 0
cpu1 {4} 0 5 {5} 0 0 0 0 0 0
intr 1 2 3
"""


def test_idle_cores_are_counted_from_linuxs_own_times(tmp_path, monkeypatch):
    """Core 0 worked a quarter of the time between the looks, and waited for a disk; core 1 all."""
    first, second = (0, 0, 100, 100, 100, 100, 10), (9, 9, 125, 155, 140, 100, 30)
    looks = iter([STAT.format(*first), STAT.format(*second)])
    path, read = tmp_path / "stat", runtime.core_times

    def look():
        path.write_text(next(looks))
        return read(path)

    monkeypatch.setattr(runtime, "core_times", look)
    monkeypatch.setattr(runtime, "LOOK", 0.0)
    monkeypatch.setattr(runtime, "cores", lambda: {0, 1})
    assert runtime.idle_cores() == pytest.approx(0.75)


def test_idle_cores_come_from_the_load_where_there_are_no_times(monkeypatch):
    def absent():
        raise FileNotFoundError

    monkeypatch.setattr(runtime, "core_times", absent)
    monkeypatch.setattr(runtime, "cores", lambda: {0, 1, 2, 3})
    monkeypatch.setattr(os, "getloadavg", lambda: (1.5, 0, 0), raising=False)
    assert runtime.idle_cores() == 2.5
    monkeypatch.delattr(os, "getloadavg")
    assert runtime.idle_cores() == 4


def test_free_memory(tmp_path):
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:   2048 kB\n")
    assert runtime.free_memory(tmp_path / "meminfo") == 2048 * 1024
    assert runtime.free_memory(tmp_path / "absent") == float("inf")


@pytest.mark.parametrize("wrong", ["3", True, 2.0, -1, 11, None])
def test_a_whole_number_is_one(wrong):
    assert runtime.whole_number(0, "it", 0, 10) == 0 and runtime.whole_number(10, "it", 0, 10) == 10
    with pytest.raises(CourseError, match=r"it is .*; it must be a whole number, from 0 to 10"):
        runtime.whole_number(wrong, "it", least=0, most=10)

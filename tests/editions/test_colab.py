"""Each student notebook, set up as on Colab: from the one wheel, served by this machine.

The notebooks run in an environment that has the packages of the one that tests (with
`make test-colab`, those of Colab) and not the course: their first cell has to bring it, and must
touch nothing else.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import nbformat
import pytest
from serving import served

from course_tools.chapters import exercises, stored
from course_tools.chapters.cells import stdout, tags
from course_tools.editions.submission import VERDICT
from course_tools.tasks import venv_python

pytestmark = [
    pytest.mark.colab,
    pytest.mark.notebook,
    pytest.mark.skipif(os.name == "nt", reason="Colab is no Windows"),
]
SOURCES = [*stored.chapters(), *stored.exercises()]
SECONDS = 300  # of one notebook; all together stay below five minutes of an idle processor


@pytest.fixture(scope="module")
def edition(tmp_path_factory):
    """Return the folder of a student edition whose wheel a server on this machine serves."""
    place = tmp_path_factory.mktemp("published")
    with served(place) as address:
        write_edition(place / "student", f"{address}/")
        yield place / "student"


def write_edition(out: Path, address: str) -> None:
    """Write a student edition with what authors have (.venv), which Colab's versions are without.

    It needs Sphinx, for the words of the book's roles.
    """
    authors = venv_python()
    python = str(authors) if authors.exists() else sys.executable
    code = "import sys, pathlib; from course_tools.editions import student; "
    code += "student.write(pathlib.Path(sys.argv[1]), sys.argv[2])"
    subprocess.run([python, "-c", code, str(out), address], cwd=stored.ROOT, check=True)


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    """Return the Python of an environment with the packages of this one, without the course."""
    place = tmp_path_factory.mktemp("machine")
    venv.create(place / "venv", with_pip=False, symlinks=True)
    packages = place / "packages"
    packages.mkdir()
    for entry in Path(sysconfig.get_paths()["purelib"]).iterdir():
        ours = "autoencoder_course" in entry.name or entry.name == "course_utils"
        if not ours and entry.suffix != ".pth":
            (packages / entry.name).symlink_to(entry)
    (own_packages(place) / "colab.pth").write_text(f"{packages}\n", encoding="utf-8")
    return place / "venv" / "bin" / "python"


def own_packages(place: Path) -> Path:
    """Return the folder that the environment installs into."""
    return next((place / "venv" / "lib").glob("python*/site-packages"))


def installed(machine: Path) -> set[str]:
    """Return the packages that were installed into the environment itself."""
    names = {path.name for path in own_packages(machine.parents[2]).iterdir()}
    return {name.split("-")[0] for name in names if not name.startswith(("colab.pth", "__"))}


def run(nb: nbformat.NotebookNode, machine: Path, place: Path) -> None:
    """Run a notebook in a kernel of the environment, in a folder of its own."""
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient

    class Machine(AsyncKernelManager):
        @property
        def kernel_spec(self) -> KernelSpec:
            argv = [str(machine), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
            return KernelSpec(argv=argv, display_name="Colab", language="python")

    unwanted = ("PYTHONPATH", "VIRTUAL_ENV", "MPLBACKEND")
    env = {name: value for name, value in os.environ.items() if name not in unwanted}
    env |= stored.AS_TESTED | {"COURSE_PROGRESS": "0", "COURSE_MINUTE": "3"}
    client = NotebookClient(
        nb, kernel_manager_class=Machine, timeout=SECONDS, startup_timeout=120,
        resources={"metadata": {"path": str(place)}}, store_widget_state=False,
    )  # fmt: skip
    # as the executing command does: what a widget displays becomes an output of its cell
    client.comm_open_handlers = {"jupyter.widget": lambda message: None}
    client.execute(env=env)


def with_answers(nb: nbformat.NotebookNode, source: nbformat.NotebookNode) -> None:
    """Paste the reference answers into the starters, as a learner would type them."""
    known = {exercise.name: exercise for exercise in exercises.exercises(source)}
    for cell in nb.cells:
        if "starter" in tags(cell):
            exercise = known[cell.metadata.course.exercise]
            parts = [part.source for part in exercise.part("solution") if part.cell_type == "code"]
            cell.source = "\n\n".join([cell.source, *parts])


def verdicts(nb: nbformat.NotebookNode) -> dict[str, str]:
    """Return the state of each verdict that is shown, by exercise."""
    shown = [output.get("data", {}).get(VERDICT) for cell in nb.cells if cell.cell_type == "code"
             for output in cell.outputs]  # fmt: skip
    return {verdict["name"]: verdict["state"] for verdict in shown if verdict}


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_a_student_notebook_sets_itself_up_and_runs(source, edition, machine, tmp_path):
    nb = nbformat.read(edition / source.relative_to(stored.ROOT), as_version=4)
    original = nbformat.read(source, as_version=4)
    for name in ("course_utils", "autoencoder_course-*"):  # as on a machine that was never used
        for left in own_packages(machine.parents[2]).glob(name):
            shutil.rmtree(left)
    if stored.is_exercise(source):
        with_answers(nb, original)
    run(nb, machine, tmp_path)
    assert installed(machine) == {"course_utils", "autoencoder_course"}  # neither torch nor numpy
    said = stdout(nb.cells[0])
    assert said.startswith("quick profile on ") and "minutes" in said and "fetch" not in said
    assert not list(tmp_path.glob("course-limits*"))
    if stored.is_exercise(source):
        checked = [e.name for e in exercises.exercises(original) if e.checked]
        assert verdicts(nb) == dict.fromkeys(checked, "right")


def test_python_is_colabs():
    """Colab has 3.13; with another one this says so."""
    if sys.version_info[:2] != (3, 13):
        pytest.skip(f"not run on Colab's Python 3.13, but on {sys.version.split()[0]}")


@pytest.mark.parametrize("lacking", ["wheel", "torch"])
def test_what_is_missing_is_told_in_a_sentence(lacking, edition, machine, tmp_path):
    source = (
        nbformat.read(edition / SOURCES[0].relative_to(stored.ROOT), as_version=4).cells[0].source
    )
    for left in own_packages(machine.parents[2]).glob("course_utils"):
        shutil.rmtree(left)
    python = str(machine)
    if lacking == "torch":
        source = source.replace('have("torch")', 'have("no_torch")')
    else:
        source = source.replace(source[source.index("WHEEL = ") :].split("\n")[0], 'WHEEL = ""')
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run([python, "-c", source], cwd=tmp_path, capture_output=True, text=True,
                          env=env)  # fmt: skip
    assert done.returncode == 1 and "missing" in done.stderr and "Traceback" not in done.stderr

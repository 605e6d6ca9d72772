"""What pytest does beside nbval: `-p course_tools.chapters.nbval_plugin`.

Each notebook trains in a run folder of its own, empty at first, in the quick profile, without
progress bars; and it has a budget of processor seconds (--notebook-seconds), start of its kernel
included, so that other work on the machine fails no test. The times are printed at the end.
"""

from __future__ import annotations

import contextlib
import functools
import os
import tempfile
from pathlib import Path
from unittest import mock

import psutil
import pytest

from course_tools.chapters.cells import VERDICT
from course_tools.chapters.stored import AS_TESTED, EXERCISES

NOTEBOOK_TIME = "notebook_seconds"
SECONDS = 60  # of the processor, which count the same on a busy machine, but for a third or so
# the user's settings must not decide what is compared; COURSE_RUNS is set for each notebook
SETTINGS = {"COURSE_PROFILE": "quick", "COURSE_PROGRESS": "0"}
PICTURES = ("image/svg+xml", "image/jpeg")  # differ between profiles; nbval leaves out PNGs only
LEFT_OUT = (*PICTURES, VERDICT)  # execute keeps the data of a verdict in check cells alone
NOT_THE_USERS = ("COURSE_RECORD", "MPLBACKEND")  # another backend leaves no figures


def pytest_addoption(parser):
    """Add the budget."""
    parser.addoption(
        "--notebook-seconds",
        type=float,
        default=os.environ.get("COURSE_NOTEBOOK_SECONDS") or SECONDS,  # a text is parsed likewise
        help="a notebook that takes longer fails (COURSE_NOTEBOOK_SECONDS, else %(default)s)",
    )


def pytest_configure(config):
    """Prepare to collect the times of the notebooks."""
    config.addinivalue_line("markers", "notebook: reads or runs the stored notebooks")
    config.pluginmanager.register(Watch(config.getoption("notebook_seconds")), "notebook-watch")


class Watch:
    """Starts kernels in the right environment, and measures what their notebooks take."""

    def __init__(self, budget: float):
        """Take the budget of a notebook in seconds."""
        self.budget = budget
        self.spent: dict[str, float] = {}
        self.failed: set[str] = set()

    def pytest_collection_modifyitems(self, items):
        """Mark the cells; nbval leaves a handle to the null device open for each kernel."""
        for item in filter(is_cell, items):
            item.add_marker("notebook")
            item.add_marker(pytest.mark.filterwarnings("ignore::ResourceWarning"))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item):
        """Start the kernel of a notebook, which happens before its first cell."""
        if not is_cell(item) or item.parent.kernel is not None:
            return (yield)
        item.parent.skip_compare = (*item.parent.skip_compare, *LEFT_OUT)
        with kernel_environment(item):
            result = yield
        keep_history(item.parent.kernel)
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item):
        """Run a cell; fail the one with which its notebook exceeds the budget."""
        if not is_cell(item):
            return (yield)
        name = file_of(item)
        try:
            result = yield
        finally:
            spent = self.spent[name] = processor_seconds(item.parent.kernel, self.spent.get(name))
            item.user_properties.append((NOTEBOOK_TIME, round(spent, 2)))
        if spent > self.budget and name not in self.failed:
            self.failed.add(name)
            pytest.fail(
                f"{name} took {spent:.0f} s of the processor up to this cell; all of it may take "
                f"{self.budget:.0f} s in the quick profile",
                pytrace=False,
            )
        return result

    def pytest_terminal_summary(self, terminalreporter):
        """Print the time of each notebook; the reports bring them from other processes."""
        times: dict[str, float] = {}
        for report in (r for reports in terminalreporter.stats.values() for r in reports):
            for key, value in getattr(report, "user_properties", ()):
                if key == NOTEBOOK_TIME:
                    name = report.nodeid.split("::")[0]
                    times[name] = max(value, times.get(name, 0.0))
        for name, seconds in sorted(times.items()):
            terminalreporter.write_line(f"{name}: {seconds:.1f} s of the processor")


def processor_seconds(kernel, known: float | None) -> float:
    """Return how long the processor worked for a kernel so far; what is known where it is gone."""
    try:
        times = psutil.Process(kernel.km.provisioner.pid).cpu_times()
    except (AttributeError, psutil.Error):
        return known or 0.0
    of_children = getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
    return times.user + times.system + of_children


def keep_history(kernel) -> None:
    """Let a kernel of nbval see a `;` at the end of a cell, as people's kernels do.

    IPython looks for it in its history, from which nbval leaves the cells out.
    """
    kernel.execute_cell_input = functools.partial(
        kernel.kc.execute, store_history=True, stop_on_error=False
    )


def is_cell(item) -> bool:
    """Tell whether a test is a notebook's cell."""
    return type(item).__name__ == "IPyNbCell"


def file_of(item) -> str:
    """Return the file that a cell belongs to."""
    return item.nodeid.split("::")[0]


@contextlib.contextmanager
def kernel_environment(item):
    """Set the environment that the kernel of this cell's notebook inherits.

    Its run folder is removed together with the kernel.
    """
    with contextlib.ExitStack() as stack:
        runs = tempfile.TemporaryDirectory(prefix="course-runs-", ignore_cleanup_errors=True)
        stack.enter_context(runs)
        exercise = Path(item.parent.path).parent.name == EXERCISES
        settings = SETTINGS | (AS_TESTED if exercise else {}) | {"COURSE_RUNS": runs.name}
        with mock.patch.dict(os.environ, settings):
            for name in NOT_THE_USERS:
                os.environ.pop(name, None)
            yield
        item.parent.addfinalizer(stack.pop_all().close)

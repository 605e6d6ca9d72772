"""The first cell of a student notebook: it makes the course importable, wherever it runs."""

from __future__ import annotations

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

ID = "course-setup"
# what the package imports beyond PyTorch, as Python calls it and as pip does
NEEDED = {"safetensors": "safetensors", "platformdirs": "platformdirs", "filelock": "filelock",
          "tqdm": "tqdm", "typer": "typer", "sklearn": "scikit-learn", "skimage": "scikit-image",
          "ipywidgets": "ipywidgets"}  # fmt: skip

SOURCE = '''#@title Set-up: run this cell first (about {seconds} s on Colab, a moment elsewhere)
KEEP_ON_DRIVE = False  # True: Colab asks for your Drive, and trained runs are kept there

import importlib.util, os, pathlib, subprocess, sys
from importlib import metadata

WHEEL = os.environ.get("COURSE_WHEEL") or "{wheel}"
os.environ.setdefault("COURSE_RELEASE", "{release}")  # where runs of the book can be fetched


def have(name):
    """Tell whether Python finds a package."""
    try:
        found = importlib.util.find_spec(name)
    except ImportError:  # the package that it would be in is not there either
        found = None
    return found is not None and found.origin is not None  # an empty folder has no origin


def install(*what):
    """Install with pip, and leave PyTorch and NumPy as they are: no restart is needed."""
    fixed = [f"{{name}}=={{metadata.version(name)}}" for name in ("torch", "numpy")]
    limits = pathlib.Path("course-limits.txt")
    limits.write_text("\\n".join(fixed))
    pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    done = subprocess.run([*pip, "-c", str(limits), *what], capture_output=True, text=True)
    limits.unlink()
    if done.returncode:
        raise SystemExit("pip could not install " + " ".join(what) + "\\n" + done.stderr[-800:])


if not (have("torch") and have("numpy")):
    raise SystemExit("PyTorch is missing: see https://pytorch.org/get-started/locally")
if not have("course_utils"):
    beside = [w for up in ("wheels", "../wheels", "../../wheels")
              for w in sorted(pathlib.Path(up).glob("autoencoder_course-*.whl"))]
    if not (beside or WHEEL):
        raise SystemExit("The course's wheel is missing. Open this notebook from the course's\\n"
                         "page, or name the wheel: os.environ['COURSE_WHEEL'] = '...'")
    install("--no-deps", str(beside[-1]) if beside else WHEEL)
{needed}
if any(not have(name) for name in needed):
    install(*(needed[name] for name in needed if not have(name)))
if KEEP_ON_DRIVE and have("google.colab"):
    from google.colab import drive

    drive.mount("/content/drive")
    os.environ["COURSE_RUNS"] = "/content/drive/MyDrive/autoencoder-course/runs"
importlib.invalidate_caches()

import course_utils
from course_utils import provenance, runtime

print(f"{{runtime.profile()}} profile on {{provenance.device_label(runtime.device())}}")
print("{minutes}")
if course_utils.__version__ != "{version}":
    print("This notebook is of version {version}, the course's package here of",
          course_utils.__version__ + ": fetch the notebook anew.")
'''
SECONDS = 15


def cell(wheel: str, release: str, version: str, minutes: str) -> NotebookNode:
    """Return the set-up cell.

    Args:
        wheel: address of the published wheel; "" where nothing is published.
        release: address that `course runs fetch` asks; "" where nothing is published.
        version: of the course that the notebook is made from.
        minutes: how long the notebook takes, as a sentence.
    """
    names = ",\n          ".join(f'"{name}": "{pip}"' for name, pip in NEEDED.items())
    source = SOURCE.format(
        seconds=SECONDS,
        wheel=wheel,
        release=release,
        version=version,
        minutes=minutes,
        needed=f"needed = {{{names}}}",
    )
    metadata = {"cellView": "form", "jupyter": {"source_hidden": True}, "tags": ["setup"]}
    return new_code_cell(source.rstrip("\n"), id=ID, metadata=metadata)

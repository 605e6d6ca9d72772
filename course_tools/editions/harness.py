"""Runs inside the process of one submission: its cells in order, and the checks between them.

    python -m course_tools.editions.harness JOB.json EVENTS      (a secret comes on stdin)

Student code runs in this very process, so nothing here can hide from it for certain. What is done:
the checks are those of the course, held from before any student code ran; every event is signed
with a secret that is not on disk; a verdict that passes must fail for the starter a moment later,
in the same process; and replaced functions of the course, PyTorch or Python are noticed.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import hashlib
import hmac
import importlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from types import FunctionType, ModuleType

WATCHED = ("course_utils", "torch", "torch.nn.functional", "math", "hmac", "json", "builtins")
MEGABYTE = 2**20


class OutOfTime(BaseException):
    """A cell took too long; no Exception, so that `except Exception` does not swallow it."""


class Witness:
    """Writes signed events to a file that it opened before any student code ran."""

    def __init__(self, path: str, secret: bytes):
        self.file, self.secret, self.count = open(path, "a", encoding="utf-8"), secret, 0  # noqa: SIM115

    def say(self, **event) -> None:
        """Write one event, with its number, signed."""
        text = json.dumps(event | {"number": self.count})
        self.count += 1
        self.file.write(f"{sign(self.secret, text)} {text}\n")
        self.file.flush()


def sign(secret: bytes, text: str) -> str:
    """Return the signature of a text."""
    return hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()


# -------------------------------------------------------------------------------------- limits


def limit_memory(megabytes: int, file_megabytes: int) -> None:
    """Allow this process so much memory beyond what it has now, and files of such a size.

    Where the system knows no such limits (Windows; macOS knows them in part) nothing is done.
    """
    try:
        import resource
    except ImportError:
        return
    with contextlib.suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        now = pages * resource.getpagesize()
        most = now + megabytes * MEGABYTE
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    with contextlib.suppress(OSError, ValueError):
        most = file_megabytes * MEGABYTE
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


@contextlib.contextmanager
def alarm(seconds: float):
    """Raise OutOfTime in the block after some seconds, where the system has such a clock."""
    if not hasattr(signal, "setitimer"):
        yield
        return

    def ring(number, frame):
        signal.setitimer(signal.ITIMER_REAL, 0.5)  # again, should the first be swallowed
        raise OutOfTime

    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


# ------------------------------------------------------------------------------- what was replaced


def snapshot() -> dict[tuple[str, str], object]:
    """Return the functions and classes of the watched modules, and what functions are made of."""
    found: dict[tuple[str, str], object] = {}
    for name, module in sorted(sys.modules.items()):
        if not isinstance(module, ModuleType):
            continue
        if name in WATCHED or name.startswith("course_utils."):
            for key, value in list(vars(module).items()):
                if callable(value):
                    found[name, key] = made_of(value)
    return found


def made_of(value: object) -> object:
    """Return what tells a function, or a class with its methods, from one that replaced it."""
    if isinstance(value, FunctionType):
        return (id(value), id(value.__code__), id(value.__defaults__))
    if isinstance(value, type):
        methods = {key: id(getattr(method, "__code__", method))
                   for key, method in vars(value).items() if callable(method)}  # fmt: skip
        return (id(value), tuple(sorted(methods.items())))
    if isinstance(value, tuple):  # the probes of a check, their cases and known mistakes
        return (id(value), *(made_of(part) for part in value))
    if type(value).__module__.startswith("course_utils."):  # a check, or a probe in it
        inside = sorted((key, made_of(part)) for key, part in vars(value).items())
        return (id(value), id(type(value)), *inside)
    return id(value)


def replaced(before: dict[tuple[str, str], object]) -> list[str]:
    """Return the names of what is not what it was; what came or went is none of it."""
    now = snapshot()
    changed = [place for place in set(before) & set(now) if before[place] != now[place]]
    return sorted(f"{module}.{key}" for module, key in changed if key not in IPYTHONS)


IPYTHONS = {"display", "get_ipython", "exit", "quit"}  # which the shell puts into builtins itself


# ------------------------------------------------------------------------------------ the run


class Run:
    """The cells of one submission, run in order in an IPython shell."""

    def __init__(self, job: dict, witness: Witness):
        from IPython.core.interactiveshell import InteractiveShell

        self.job, self.witness = job, witness
        self.shell = InteractiveShell.instance()
        self.shell.history_manager.enabled = False
        self.check = None
        self.tampered = ""

    def go(self) -> None:
        """Run what is given, then the cells of the submission; say how each of them ended."""
        for source in self.job["given"]:
            self.shell.run_cell(source, store_history=True)
        self.check = self.shell.user_ns.get("check")
        self.given = dict(self.shell.user_ns)
        self.witness.say(event="given")
        self.before = snapshot()
        limit_memory(self.job["memory_megabytes"], self.job["file_megabytes"])
        for index, step in enumerate(self.job["steps"]):
            if index in self.job["skip"]:
                continue
            self.witness.say(event="begin", index=index)
            (self.judge if step["kind"] == "check" else self.run)(step, index)
        self.witness.say(event="end")

    def run(self, step: dict, index: int) -> None:
        """Run a cell of the submission."""
        error = self.cell(step["source"])
        if error is not None:
            self.witness.say(event="error", index=index, **error)

    def cell(self, source: str) -> dict | None:
        """Run a cell; return what went wrong, as name, message and line, or None."""
        try:
            with alarm(self.job["cell_seconds"]):
                result = self.shell.run_cell(source, store_history=True)
        except OutOfTime:
            return {"name": "OutOfTime", "message": "", "line": None}
        error = result.error_before_exec or result.error_in_exec
        return None if error is None else described(error)

    def judge(self, step: dict, index: int) -> None:
        """Run a check on what the cells before it made, and the same check on the starter."""
        name = step["exercise"]
        self.tampered = self.tampered or self.interference()
        try:
            with alarm(self.job["cell_seconds"]):
                verdict = self.verdict(step["source"], self.shell.user_ns)
                if verdict["passed"] and not self.tampered and self.passes_anything(step):
                    self.tampered = "the check would pass an empty answer too"
                self.tampered = self.tampered or self.interference()
        except OutOfTime:
            verdict = {"passed": False, "state": "out of time", "sentence": ""}
        if self.tampered:
            verdict = {"passed": False, "state": "void", "sentence": self.tampered}
        self.witness.say(event="verdict", index=index, exercise=name, **verdict)

    def interference(self) -> str:
        """Return in words what was replaced under the checks; "" where nothing was."""
        found = replaced(self.before)
        if self.check is not None and self.shell.user_ns.get("check") is not self.check:
            found.insert(0, "the name check")
        return f"replaced by the submission: {', '.join(found[:4])}" if found else ""

    def verdict(self, source: str, names: dict) -> dict:
        """Return the verdict of a check cell with the course's own check, as a dict."""
        space = {**names, "check": self.check}
        *first, last = ast.parse(source).body
        try:
            exec(compile(ast.Module(first, []), "<check>", "exec"), space)
            made = eval(compile(ast.Expression(last.value), "<check>", "eval"), space)
        except NameError as error:
            words = f"there is no {error.name} when the check is run: its cell is missing or failed"
            return {"passed": False, "state": "no answer", "sentence": words}
        except Exception as error:  # of the learner's code outside the check, or of the check
            said = described(error)
            sentence = f"{said['name']}: {said['message']}"
            return {"passed": False, "state": "crashed", "sentence": sentence}
        return {"passed": made.passed is True, "state": str(getattr(made, "state", "")),
                "sentence": str(made.sentence)}  # fmt: skip

    def passes_anything(self, step: dict) -> bool:
        """Tell whether a check passes the starter, or a function that answers nothing.

        Then something is wrong with the check in this process, and its verdict means nothing.
        """
        names = dict(self.given)
        nothing = Emptied().visit(ast.parse(step["source"]))
        if self.verdict(ast.unparse(nothing), names)["passed"]:
            return True
        try:
            exec(compile(step["starter"], "<starter>", "exec"), names)
        except Exception:
            return False
        return self.verdict(step["source"], names)["passed"]


class Emptied(ast.NodeTransformer):
    """Gives each check a function that answers nothing, in place of the answer.

    It returns words: a function that returns None would pass for one that is not written yet.
    """

    def visit_Call(self, node: ast.Call) -> ast.Call:
        """Replace the arguments of `check.NAME(...)`."""
        if isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) == "check":
            empty = ast.parse("lambda *args, **more: 'no answer'", mode="eval").body
            node.args, node.keywords = [empty] * max(1, len(node.args)), []
        return node


def described(error: BaseException) -> dict:
    """Return an error as name, message and the line of the cell where it happened."""
    line, trace = None, error.__traceback__
    while trace is not None:
        if "ipython-input" in trace.tb_frame.f_code.co_filename or "ipykernel" in str(
            trace.tb_frame.f_code.co_filename
        ):
            line = trace.tb_lineno
        trace = trace.tb_next
    if isinstance(error, SyntaxError):
        line = error.lineno
    return {"name": type(error).__name__, "message": str(error)[:300], "line": line}


def main(words: list[str]) -> int:
    """Run the job; the exit status says nothing, the events do."""
    job = json.loads(Path(words[0]).read_text(encoding="utf-8"))
    witness = Witness(words[1], sys.stdin.buffer.read())
    sys.stdin.close()
    sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115
    for name in job["imports"]:
        importlib.import_module(name)
    builtins.input = lambda *words: ""  # nobody answers
    witness.say(event="start", time=time.time())
    Run(job, witness).go()
    return 0


if __name__ == "__main__":
    # by its own name, so that a submission finds no second copy of it as __main__
    from course_tools.editions import harness

    sys.exit(harness.main(sys.argv[1:]))

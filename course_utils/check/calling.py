"""Calling a learner's function so that nothing it does can harm the check, or the session.

It gets copies, its print-outs and warnings are kept quiet, random numbers are put back, and what
it raises becomes a sentence with the line where it happened.
"""

from __future__ import annotations

import contextlib
import copy
import dis
import inspect
import io
import linecache
import sysconfig
import traceback
import types
import warnings
from collections.abc import Callable
from pathlib import Path

import torch

HERE = str(Path(__file__).resolve().parents[1])
LIBRARIES = tuple(sysconfig.get_paths()[name] for name in ("stdlib", "purelib", "platlib"))


class Untried(Exception):
    """There is nothing to judge yet."""


class Fault(Exception):
    """The answer is wrong; the message is the sentence for its author."""


class Crash(Fault):
    """The answer raised an error."""


class Answer:
    """A learner's function, called with copies.

    Args:
        function: what the learner wrote.
        takes: the names of its arguments, as the exercise has them.
    """

    def __init__(self, function: Callable, takes: tuple[str, ...] = ()):
        self.function, self.takes = function, takes
        self.inputs: tuple = ()  # of the last call, as the function left them

    def __call__(self, *inputs, seed: int = 0, copies: bool = True):
        """Return what the function makes of copies of `inputs`, or of `inputs` themselves.

        Raises Crash where it raises, Fault where it returns nothing, Untried where it is not
        written yet.
        """
        self.inputs = tuple(fresh(value) for value in inputs) if copies else inputs
        self._fits(len(inputs))
        try:
            with quiet(), random_numbers_put_back(seed):
                made = self.function(*self.inputs)
        except NotImplementedError as error:
            if str(error):
                raise Crash(crash_sentence(error)) from None
            raise Untried from None
        except (Exception, SystemExit) as error:
            if "ellipsis" in str(error):
                raise Untried from None
            raise Crash(crash_sentence(error)) from None
        if made is Ellipsis:
            raise Untried
        if made is None:
            raise Fault(
                "Your function returns nothing (None): is its last line a calculation without "
                "`return` in front?"
            )
        return made

    def tensor(self, *inputs, seed: int = 0) -> torch.Tensor:
        """Return the answer as a tensor, whatever kind of number it is; Fault where it is none."""
        made = self(*inputs, seed=seed)
        if isinstance(made, tuple):
            raise Fault(f"Your function returns {len(made)} things; one is wanted.")
        try:
            return made if isinstance(made, torch.Tensor) else torch.as_tensor(made)
        except (TypeError, ValueError, RuntimeError):
            kind = type(made).__name__
            said = f"Your function returns a {kind}; a tensor or a number is wanted."
            raise Fault(said) from None

    def _fits(self, count: int) -> None:
        """Raise Fault where the function cannot take so many arguments."""
        try:
            signature = inspect.signature(self.function)
        except (TypeError, ValueError):
            return
        try:
            signature.bind(*range(count))
        except TypeError:
            call = f"({', '.join(self.takes)})" if self.takes else f"with {count} arguments"
            raise Fault(
                f"Your function takes {signature}; it is called as {call}: give it these "
                "arguments, in this order."
            ) from None


def fresh(value):
    """Return a copy that shares no memory; what has no copy is given as it is."""
    if isinstance(value, torch.Tensor):
        return value.detach().clone().requires_grad_(value.requires_grad)
    try:
        return copy.deepcopy(value)
    except Exception:
        return value


@contextlib.contextmanager
def quiet():
    """Keep print-outs and warnings of the answer to itself: it is called many times."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def random_numbers_put_back(seed: int):
    """Seed torch for a call, and leave the learner's own random numbers as they were."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield


@contextlib.contextmanager
def evaluating(model):
    """Ask what an answer has trained: in evaluation, without gradients, random numbers put back.

    Raises Crash where the model raises.
    """
    if hasattr(model, "eval"):
        model.eval()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            yield
    except Exception as error:
        raise Crash(crash_sentence(error)) from None


# ----------------------------------------------------------------------------------- crashes


def crash_sentence(error: BaseException) -> str:
    """Return where in the learner's own lines an error arose, and what it was."""
    what = in_short(error)
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if is_own(frame.filename)]
    if not own:
        return f"Your answer stopped with {what}."
    line = (own[-1].line or linecache.getline(own[-1].filename, own[-1].lineno)).strip()
    shown = f", `{line}`," if line else ""
    return f"Your function stopped in line {own[-1].lineno}{shown} with {what}."


def in_short(error: BaseException) -> str:
    """Return "ValueError: what it says" on one line, without the full stop at its end."""
    said = " ".join(str(error).split()).rstrip(".")
    said = said if len(said) <= 160 else said[:157] + "..."
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def is_own(filename: str) -> bool:
    """Tell whether a file is the learner's: neither the course's nor a library's."""
    return not filename.startswith((HERE, *LIBRARIES, "<frozen"))


# ------------------------------------------------------------------------- what is not written yet


def is_empty(function: Callable) -> bool:
    """Tell whether a function has no body: `...`, `pass`, or its docstring alone."""
    code = getattr(function, "__code__", None)
    return code is not None and content(code) == content(_empty.__code__)


def same_code(one: Callable, other: Callable) -> bool:
    """Tell whether two functions were written alike, names, comments and docstrings aside."""
    codes = [getattr(function, "__code__", None) for function in (one, other)]
    return None not in codes and content(codes[0]) == content(codes[1])


def content(code: types.CodeType) -> list:
    """Return the instructions of a code object, as values that can be compared.

    A method is called by other instructions where its module imports the name before the dot.
    """
    listed = []
    for step in dis.get_instructions(code):
        if step.opname == "PUSH_NULL":
            continue
        value = step.argval
        if isinstance(value, types.CodeType):
            value = content(value)
        elif step.opname in JUMPS:
            value = None
        listed.append((step.opname.replace("LOAD_METHOD", "LOAD_ATTR"), repr(value)))
    return listed


JUMPS = {dis.opname[number] for number in (*dis.hasjrel, *dis.hasjabs)}


def _empty(): ...


def describe(answer: object) -> str:
    """Return what an answer is, where a function was wanted."""
    if isinstance(answer, torch.Tensor):
        return "a tensor"
    return f"a {type(answer).__name__}" if answer is not None else "None"

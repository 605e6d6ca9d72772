"""A check: the battery of probes behind `check.NAME(answer)`, its hints and its solution."""

from __future__ import annotations

import ast
import inspect
import os
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from course_utils.check import session
from course_utils.check.calling import (
    Answer,
    Crash,
    Fault,
    Untried,
    describe,
    in_short,
    is_empty,
    same_code,
)
from course_utils.check.verdict import (
    CRASHED,
    RIGHT,
    UNTRIED,
    WRONG,
    Verdict,
    show,
    show_markdown,
)

# A probe asks the answer one thing. It returns nothing, or the sentence of a fault; calling the
# answer may raise Fault, Crash or Untried in its stead.
Probe = Callable[[Answer], "str | None"]


@dataclass(frozen=True)
class Check:
    """Feedback on one exercise; `check(answer)` shows and returns a verdict.

    Attributes:
        name: as in `check.NAME`.
        chapter: "04".
        takes: the names of the answer's arguments; empty where the answer is no function.
        probes: asked in this order, so the smallest first.
        hints: one to three sentences, each telling more.
        opens: what a right answer opens, in one sentence.
        reference: the solution; None where it is the instructor's alone.
        starter: the function as it is handed out, where that is more than `...`.
        seconds: that it takes, where that is more than a moment.
    """

    name: str
    chapter: str
    takes: tuple[str, ...]
    probes: tuple[Probe, ...] = field(repr=False)
    hints: tuple[str, ...] = field(repr=False)
    opens: str = field(repr=False)
    reference: Callable | None = field(default=None, repr=False)
    starter: Callable | None = field(default=None, repr=False)
    seconds: int = 0

    def __call__(self, answer=...) -> Verdict:
        """Show and return what is to be said of an answer.

        Raises AssertionError for one that is not right where COURSE_CHECK_RAISES is set, as the
        nbgrader edition does; else nothing is raised, whatever the answer does.
        """
        if self.seconds and answer is not ... and not self.untouched(answer):
            print(f"This check trains: it takes about {self.seconds} s.")
        verdict = self.judge(answer)
        session.note(verdict)
        show(verdict.bundle())
        if os.environ.get("COURSE_CHECK_RAISES", "0") not in ("", "0") and not verdict.passed:
            raise AssertionError(verdict.sentence)
        return verdict

    def judge(self, answer) -> Verdict:
        """Return the verdict, and show nothing."""
        if answer is ... or self.untouched(answer):
            return self._untried()
        if self.takes and not callable(answer):
            return Verdict(self.name, WRONG, (self.no_function(answer),))
        try:
            findings = list(dict.fromkeys(self.findings(Answer(answer, self.takes))))
        except Untried:
            return self._untried()
        if not findings:
            return Verdict(self.name, RIGHT, (self.opens,))
        state = CRASHED if findings[0][0] else WRONG
        return Verdict(self.name, state, tuple(sentence for _, sentence in findings))

    def findings(self, answer: Answer) -> Iterable[tuple[bool, str]]:
        """Yield (whether it crashed, sentence) for each probe that found a fault.

        What a probe of extremes says holds for answers that are right on paper, so it is not asked
        of one that is wrong everywhere.
        """
        wrong = False
        for probe in self.probes:
            if wrong and getattr(probe, "of_right_answers", False):
                continue
            try:
                sentence = probe(answer)
            except Fault as fault:
                yield isinstance(fault, Crash), str(fault)
            except Untried:
                raise
            except Exception as error:  # a probe that stumbles must stop nothing
                yield (
                    False,
                    (
                        f"The check cannot read what your function returns ({in_short(error)}): "
                        "look at its type and shape."
                    ),
                )
            else:
                if sentence:
                    wrong = True
                    yield False, sentence

    def untouched(self, answer) -> bool:
        """Tell whether an answer is still the function that was handed out."""
        if self.starter is not None and same_code(answer, self.starter):
            return True
        return bool(self.takes) and is_empty(answer)

    def no_function(self, answer) -> str:
        """Return the sentence for an answer that is no function."""
        return (
            f"A function is wanted, and this is {describe(answer)}: give the function itself, "
            f"without calling it, check.{self.name}(your_function)."
        )

    def _untried(self) -> Verdict:
        """Return the verdict on what is not written yet."""
        return Verdict(
            self.name,
            UNTRIED,
            (f"Nothing is written here yet; check.{self.name}.hint() gives a start.",),
        )

    def hint(self, number: int = 1) -> None:
        """Show hint `number`, from 1."""
        if 1 <= number <= len(self.hints):
            show_markdown(f"**Hint {number} of {len(self.hints)}.** {self.hints[number - 1]}")
            return
        show_markdown(f"There are {len(self.hints)} hints; next is check.{self.name}.solution().")

    def solution(self) -> None:
        """Show the solution, where it is public."""
        if self.reference is None:
            show_markdown("This exercise is graded: its solution is your instructor's.")
            return
        show_markdown(f"```python\n{source_of(self.reference)}\n```")


def source_of(function: Callable) -> str:
    """Return the source of a function without its decorators."""
    text = textwrap.dedent(inspect.getsource(function))
    first = ast.parse(text).body[0].lineno
    return "\n".join(text.splitlines()[first - 1 :]).rstrip()


def exercise(chapter: str, **rest) -> Callable[[Callable], Check]:
    """Turn the function below into a check that has it as its solution."""

    def made(function: Callable) -> Check:
        takes = tuple(inspect.signature(function).parameters)
        parts = {name: tuple(rest.pop(name)) for name in ("probes", "hints")}
        return Check(function.__name__, chapter, takes, reference=function, **parts, **rest)

    return made

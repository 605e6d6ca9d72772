"""Probes: what a check asks of an answer.

`Values` compares with an oracle, and recognises the mistakes that people make by what they compute,
however they are written. The rest ask for what values do not show: gradients, extremes, other
devices, inputs left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from course_utils.check.calling import Answer, Crash, Fault
from course_utils.check.wording import MOST, alike, as_double, example, images, same, shown


@dataclass(frozen=True)
class Case:
    """The inputs of one call.

    Attributes:
        inputs: in the order of the arguments.
        note: how a sentence names them where they are too many to be written out.
    """

    inputs: tuple
    note: str = ""


def case(*inputs, note: str = "") -> Case:
    """Return a case; lists become tensors of floats."""
    made = (torch.tensor(value) if isinstance(value, list) else value for value in inputs)
    return Case(tuple(made), note)


@dataclass(frozen=True)
class Mistake:
    """A formula that people write in place of the right one.

    Attributes:
        formula: computes what they compute, with the arguments of the exercise.
        says: what is wrong and where to look, without the solution; the example is added.
    """

    formula: Callable
    says: str


@dataclass(frozen=True)
class Values:
    """What the answer computes, compared with an oracle on every case.

    Attributes:
        what: is computed, as in "your KL".
        oracle: with the arguments of the exercise.
        cases: the smallest first.
        mistakes: recognised when they give what the answer gives, on all cases.
        per_image: the answer gives one number per image, (B,).
    """

    what: str
    oracle: Callable
    cases: Sequence[Case]
    mistakes: Sequence[Mistake] = ()
    per_image: bool = False
    rtol: float = 1e-4

    def __call__(self, answer: Answer) -> str | None:
        """Return the sentence of a fault, None where there is none."""
        got = [self.made(answer, case) for case in self.cases]
        wanted = [self.of(self.oracle, case) for case in self.cases]
        if all(same(a, b, self.rtol) for a, b in zip(got, wanted, strict=True)):
            return None
        for mistake in self.mistakes:
            if self.explains(mistake, got):
                return f"{mistake.says}{self.shown(answer, got, wanted)}"
        return self.unknown(answer, got, wanted)

    def made(self, answer: Answer, case: Case) -> torch.Tensor:
        """Return what an answer makes of a case; Crash, where it stops, names the case."""
        try:
            return answer.tensor(*case.inputs)
        except Crash as error:
            where = example(answer.takes, case.inputs, case.note)
            raise Crash(f"{error} It was called for {where}.") from None

    def of(self, formula: Callable, case: Case) -> torch.Tensor:
        """Return what a formula makes of a case, in double precision."""
        made = formula(*(as_exact(value) for value in case.inputs))
        return as_double(made)

    def explains(self, mistake: Mistake, got: list[torch.Tensor]) -> bool:
        """Tell whether a mistake gives what the answer gives, on all cases."""
        try:
            made = [self.of(mistake.formula, case) for case in self.cases]
        except (RuntimeError, ValueError, IndexError, TypeError):
            return False
        finite = sum(
            int((as_double(a).isfinite() & b.isfinite()).sum())
            for a, b in zip(got, made, strict=True)
            if a.shape == b.shape
        )
        return finite > 1 and all(alike(a, b, self.rtol) for a, b in zip(got, made, strict=True))

    def unknown(self, answer: Answer, got, wanted) -> str:
        """Return the sentence of a fault that is no known mistake."""
        misshapen = [
            row for row in zip(self.cases, got, wanted, strict=True) if row[1].shape != row[2].shape
        ]
        misshapen.sort(key=lambda row: row[1].numel() == row[2].numel())
        if misshapen:
            case, a, b = misshapen[0]
            given, asked = tuple(a.shape), tuple(b.shape)
            if self.per_image and a.ndim == 0:
                return (
                    f"{self.What} is a single number for {images(len(b))}: one number per image "
                    f"is wanted, shape {asked}."
                )
            if self.per_image and a.ndim > 1 and len(a) == len(b):
                return (
                    f"{self.What} has shape {given} for {images(len(b))}: sum over everything but "
                    f"the batch, so that its shape is {asked}."
                )
            wanted_shape = f"the shape {asked}" if asked else "a single number"
            return (
                f"{self.What} has shape {given} for {example(answer.takes, case.inputs, case.note)}"
                f"; {wanted_shape} is wanted."
            )
        rows = zip(self.cases, got, wanted, strict=True)
        case, a, b = next(row for row in rows if not same(row[1], row[2], self.rtol))
        if b.isfinite().all() and not as_double(a).isfinite().all():
            where = example(answer.takes, case.inputs, case.note)
            number = "the number " if b.numel() == 1 else ""
            return f"{self.What} is {shown(a)} for {where}; {number}{shown(b)} is wanted."
        return f"{self.What} is not right yet{self.shown(answer, got, wanted)}"

    @property
    def What(self) -> str:
        """What is computed, at the start of a sentence."""
        return self.what[0].upper() + self.what[1:]

    def shown(self, answer: Answer, got, wanted) -> str:
        """Return ": for mu = 1 it gives 0.05, not 0.5.": the smallest case that shows the fault."""
        rows = [
            row
            for row in zip(self.cases, got, wanted, strict=True)
            if not same(row[1].flatten(), row[2].flatten(), self.rtol)
        ]
        if not rows:
            return "."
        case, a, b = rows[0]
        where = example(answer.takes, case.inputs, case.note)
        a, b = as_double(a), as_double(b)
        if a.shape == b.shape and b.numel() > MOST:  # too many to be shown: one that differs
            place = (~torch.isclose(a, b, self.rtol, 1e-5, equal_nan=True)).nonzero()[0].tolist()
            at = ", ".join(map(str, place))
            return f": for {where} its number [{at}] is {shown(a[*place])}, not {shown(b[*place])}."
        return f": for {where} it gives {shown(a)}, not {shown(b)}."


def as_exact(value):
    """Return floats in double precision, and everything else as it is."""
    if isinstance(value, torch.Tensor) and value.is_floating_point():
        return value.detach().double()
    return value


@dataclass(frozen=True)
class Gradients:
    """Training needs a gradient for each of some arguments.

    Attributes:
        what: is computed, as in "your KL".
        case: on which.
        to: the names of the arguments that must get one.
    """

    what: str
    case: Case
    to: tuple[str, ...]

    def __call__(self, answer: Answer) -> str | None:
        """Return the sentence of a fault, None where there is none."""
        inputs = tuple(
            value.clone().requires_grad_() if name in self.to else value
            for name, value in zip(answer.takes, self.case.inputs, strict=True)
        )
        made = answer.tensor(*inputs)
        if made.requires_grad:
            total = made.sum() if made.is_floating_point() else made.float().sum()
            total.backward()
        for name, value in zip(answer.takes, answer.inputs, strict=True):
            if name in self.to and value.grad is None:
                return (
                    f"No gradient comes back from {self.what} to {name}, so nothing could be "
                    "trained with it: look for .detach(), .item(), .data, torch.no_grad or numpy "
                    "on the way."
                )
        return None


@dataclass(frozen=True)
class Extremes:
    """The answer is right where a formula that is right on paper overflows, or rounds to 0.

    Attributes:
        what: is computed, as in "your loss".
        oracle: with the arguments of the exercise; stays exact there.
        cases: that are extreme.
        why: what goes wrong there and where to look, the end of a sentence.
        of_right_answers: it is asked of answers only that were right so far.
    """

    what: str
    oracle: Callable
    cases: Sequence[Case]
    why: str
    of_right_answers: bool = True

    def __call__(self, answer: Answer) -> str | None:
        """Return the sentence of a fault, None where there is none."""
        for case in self.cases:
            got = answer.tensor(*case.inputs)
            wanted = self.oracle(*(as_exact(value) for value in case.inputs))
            if not same(got, wanted, rtol=1e-5, atol=1e-3):
                where = example(answer.takes, case.inputs, case.note)
                return f"For {where} {self.what} is {shown(got)}, not {shown(wanted)}: {self.why}."
        return None


ROUNDS = "the probability rounds to 0 or 1 before the logarithm; stay with the logits"


@dataclass(frozen=True)
class Untouched:
    """The answer leaves its inputs as they were."""

    case: Case

    def __call__(self, answer: Answer) -> str | None:
        """Return the sentence of a fault, None where there is none."""
        answer.tensor(*self.case.inputs)
        for name, before, after in zip(answer.takes, self.case.inputs, answer.inputs, strict=True):
            tensors = isinstance(before, torch.Tensor)
            if not (torch.equal(before, after) if tensors else same_object(before, after)):
                return (
                    f"Your function changes the {name} that it is given: whoever calls it loses "
                    "the original; compute a new one (look for `+=`, `[...] =`, and "
                    "for methods that work in place, `.sort()` of a list, `.sub_()` of a tensor)."
                )
        return None


def same_object(before, after) -> bool:
    """Tell whether a list or dict is as it was; of other things nothing is asked."""
    return not isinstance(before, (list, dict)) or before == after


@dataclass(frozen=True)
class OnTheCard:
    """The answer works where its inputs are on a graphics card; asked where there is one."""

    case: Case

    def __call__(self, answer: Answer) -> str | None:
        """Return the sentence of a fault, None where there is none."""
        if not torch.cuda.is_available():
            return None
        moved = [
            value.cuda() if isinstance(value, torch.Tensor) else value for value in self.case.inputs
        ]
        try:
            made = answer.tensor(*moved)
        except Fault as fault:
            return f"On a graphics card: {fault}"
        if not made.is_cuda:
            return (
                "For inputs on the graphics card your function answers from the CPU: make new "
                "tensors with `device=`, or with functions that end in _like."
            )
        return None


@dataclass(frozen=True)
class DoublePrecision:
    """The answer takes float64 as well as float32."""

    case: Case

    def __call__(self, answer: Answer) -> str | None:
        """Raise what the answer raises; its values are compared elsewhere."""
        answer.tensor(*(as_exact(value) for value in self.case.inputs))
        return None


def usual(what: str, case: Case, to: tuple[str, ...]) -> tuple:
    """Return the probes that every loss has beside its values."""
    return Untouched(case), Gradients(what, case, to), DoublePrecision(case), OnTheCard(case)


def reductions(each: Callable, what: str, over: str = "pixels") -> tuple[Mistake, ...]:
    """Return the ways of summing up wrongly a loss that has a number for each of many parts.

    Args:
        each: gives the loss of each part, (B, ...).
        what: as in "Your squared error".
        over: what is to be summed over.
    """
    return (
        Mistake(
            lambda *a: each(*a).mean(),
            f"{what} is averaged over images and {over}: sum over the {over}, and keep one number "
            "per image",
        ),
        Mistake(
            lambda *a: each(*a).flatten(1).mean(1),
            f"{what} is averaged over the {over}: the course counts an image's sum",
        ),
        Mistake(
            lambda *a: each(*a).sum(),
            f"{what} is summed over the batch too: one number per image is wanted, shape (B,)",
        ),
        Mistake(
            lambda *a: each(*a).sum() / len(a[0]),
            f"{what} is right and then averaged over the batch: leave out that step, one number "
            "per image is wanted",
        ),
        Mistake(
            lambda *a: each(*a).flatten(1).sum(0),
            f"{what} is summed over the images: keep the batch, and sum over the {over}",
        ),
        Mistake(
            lambda *a: -each(*a).flatten(1).sum(1),
            f"{what} has the wrong sign: a loss is to be made small",
        ),
    )

"""Each check against its solution, its starter, wrong answers and right ones written otherwise."""

import inspect

import answers_00  # noqa: F401 -- these enter their answers
import answers_02  # noqa: F401
import answers_03  # noqa: F401
import answers_06  # noqa: F401
import answers_faces  # noqa: F401
import answers_graded  # noqa: F401
import answers_scoring  # noqa: F401
import learners_answers  # noqa: F401
import more_answers  # noqa: F401
import nbformat
import pytest
from check_answers import CATALOGUE

from course_tools.chapters import exercises, stored
from course_utils import check
from course_utils.check.exercise import source_of

GRADED = {
    each.name: each
    for path in stored.exercises()
    for each in exercises.exercises(nbformat.read(path, 4))
    if each.graded
}


def solution_of(name):
    """Return the source of a solution: of a graded exercise it stands in its notebook alone."""
    if name not in GRADED:
        return source_of(check.CHECKS[name].reference)
    (code,) = [c.source for c in GRADED[name].part("solution") if c.cell_type == "code"]
    return code


def session(source):
    """Return what a source defines in an empty session that has the imports of the notebooks."""
    space: dict = {}
    exec("import math\nimport torch\nimport torch.nn.functional as F\nfrom torch import nn", space)
    exec(source, space)
    return space


def marked(name, *rest):
    """Return the parameters of a test; slow where the check trains."""
    marks = [pytest.mark.slow] if check.CHECKS[name].seconds else []
    return pytest.param(name, *rest, marks=marks)


NAMES = [marked(name) for name in CATALOGUE]
WRONG = [marked(name, says) for name, entry in CATALOGUE.items() for says in entry.wrong]
RIGHT = [marked(name, i) for name, entry in CATALOGUE.items() for i in range(len(entry.right))]
SIGNATURES = {  # so that others find them
    "squared_error": "recon, x", "bce_from_logits": "logits, x", "gaussian_kl": "mu, logvar",
    "softmax_cross_entropy": "logits, y", "reparameterise": "mu, logvar",
    "iwae_bound": "log_weights", "conv_output_size": "size, kernel, stride, padding",
    "add_gaussian_noise": "x, sigma", "mask_pixels": "x, share",
    "xavier_bound": "fan_in, fan_out", "one_hot": "y, n_classes",
    "discriminator_loss": "real_logits, fake_logits", "generator_loss": "fake_logits",
    "dropout": "x, p, training", "frechet_distance": "a, b",
}  # fmt: skip


def test_the_bread_and_butter_checks_have_their_names():
    found = {name: ", ".join(c.takes) for name, c in check.CHECKS.items() if name in SIGNATURES}
    assert found == SIGNATURES


def test_each_check_has_its_answers():
    assert set(CATALOGUE) == set(check.CHECKS)
    for name, entry in CATALOGUE.items():
        assert len(entry.wrong) >= 5, name
        assert len(entry.right) >= 3, name


@pytest.mark.parametrize("name", NAMES)
def test_the_solution_is_right(name):
    found = check.CHECKS[name]
    verdict = found(found.reference or session(solution_of(name))[name])
    assert verdict.passed and verdict.sentence == found.opens


@pytest.mark.parametrize("name", NAMES)
def test_the_solution_as_it_is_printed_is_right(name, capsys):
    """Pasted into an empty session, with the imports of the notebooks."""
    found = check.CHECKS[name]
    found.solution()
    text = capsys.readouterr().out.removeprefix("```python\n").removesuffix("\n```\n")
    if name in GRADED:
        assert text == "This exercise is graded: its solution is your instructor's.\n"
        return
    assert text == source_of(found.reference)
    assert found(session(text)[name]).passed


@pytest.mark.parametrize("name", NAMES)
def test_the_starter_is_not_attempted(name):
    found = check.CHECKS[name]
    header = f"def {name}({', '.join(found.takes)}):\n    "
    for body in ("...", "pass", '"""Say what."""\n    ...', "made = ...\n    return made",
                 "raise NotImplementedError"):  # fmt: skip
        verdict = found(session(header + body)[name])
        assert verdict.passed is None and verdict.state == "not attempted", body
    assert found(found.starter or ...).state == "not attempted"
    assert found().state == "not attempted"


@pytest.fixture(autouse=True)
def a_short_minute(monkeypatch):
    """The contest of chapter 07 lasts for three seconds."""
    monkeypatch.setenv("COURSE_MINUTE", "3")


@pytest.mark.parametrize(("name", "says"), WRONG)
def test_a_wrong_answer_has_its_own_sentence(name, says):
    verdict = check.CHECKS[name](CATALOGUE[name].wrong[says])
    assert verdict.passed is False
    assert says in verdict.sentence


@pytest.mark.parametrize("name", NAMES)
def test_no_two_wrong_answers_are_told_the_same(name):
    told = [check.CHECKS[name].judge(f).sentence for f in CATALOGUE[name].wrong.values()]
    assert len(set(told)) == len(told)


@pytest.mark.parametrize("name", NAMES)
def test_no_sentence_gives_the_solution_away(name):
    found = check.CHECKS[name]
    last = solution_of(name).splitlines()[-1].strip().removeprefix("return ")
    if len(last) < 12:
        return  # "model", "recon + kl": no solution in itself
    for answer in CATALOGUE[name].wrong.values():
        assert last not in " ".join(found.judge(answer).findings)


@pytest.mark.parametrize(("name", "index"), RIGHT)
def test_a_right_answer_written_otherwise_is_right(name, index):
    verdict = check.CHECKS[name](CATALOGUE[name].right[index])
    assert verdict.passed, verdict.findings


@pytest.mark.parametrize("name", NAMES)
def test_each_check_has_hints_and_says_what_it_opens(name):
    found = check.CHECKS[name]
    assert 1 <= len(found.hints) <= 3
    assert found.opens.endswith(".") and found.opens.count(".") == 1
    assert inspect.getdoc(found.reference) or name in GRADED
    assert (found.reference is None) == (name in GRADED)

"""How a check calls an answer, what it says of it, and what is left as it was."""

import contextlib
import io
import json
import random

import pytest
import torch

from course_utils import check
from course_utils.check import session
from course_utils.check.calling import Answer, Crash, Fault, evaluating, is_empty, same_code
from course_utils.check.exercise import Check
from course_utils.check.training import coded
from course_utils.check.verdict import VERDICT_TYPE, Verdict
from course_utils.check.wording import shown


@pytest.fixture(autouse=True)
def new_session():
    """Leave no verdict behind."""
    yield
    session.last.clear()
    session.expected.clear()


def kl(mu, logvar):
    """A right answer."""
    return 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1)


def test_the_example_of_the_course():
    verdict = check.gaussian_kl(lambda mu, logvar: kl(mu, logvar).mean() / mu.shape[1])
    assert verdict.sentence == (
        "Your KL is averaged over the batch and the code: one number per image is wanted, summed "
        "over the code: for mu = [[1, 0]], logvar = [[0, 0]] it gives 0.25, not 0.5."
    )


def test_a_trained_network_is_evaluated():
    """Without dropout and gradients; the random numbers that it draws are nobody's loss."""
    network, x = torch.nn.Dropout(0.5), torch.ones(100, requires_grad=True)
    before = torch.get_rng_state()
    with evaluating(network):
        made, _ = network(2 * x), torch.rand(3)
    assert torch.equal(made, 2 * x) and not made.requires_grad
    assert torch.equal(torch.get_rng_state(), before)
    wanted = r"stopped in line \d+, .*with ZeroDivisionError"
    with pytest.raises(Crash, match=wanted), evaluating(network):
        1 / 0  # noqa: B018


def test_a_crash_names_the_learners_own_line():
    def mine(mu, logvar):
        def inner(x):
            return x.view(99, 99)

        return inner(mu)

    verdict = check.gaussian_kl(mine)
    assert verdict.state == "crashed" and verdict.passed is False
    assert "`return x.view(99, 99)`" in verdict.sentence
    assert f"line {mine.__code__.co_firstlineno + 2}" in verdict.sentence


def test_a_crash_does_not_hide_the_rest():
    """Wrong values and a crash in double precision are both said."""

    def mine(mu, logvar):
        if mu.dtype == torch.float64:
            raise ValueError("no doubles")
        return kl(mu, logvar).mean()

    verdict = check.gaussian_kl(mine)
    assert verdict.state == "wrong" and "then averaged" in verdict.sentence
    assert any("no doubles" in finding for finding in verdict.findings[1:])


def test_what_stops_a_program_does_not_stop_the_notebook():
    def mine(mu, logvar):
        raise SystemExit(3)

    assert check.gaussian_kl(mine).state == "crashed"


def test_an_unlucky_return_stops_nothing():
    """Whatever comes back: the check says something, and raises nothing."""
    for made in (None, "text", [], {}, object(), (1, 2), torch.tensor([]), float("nan"), True,
                 torch.zeros(2, 2, 2), torch.ones(3, dtype=torch.complex64)):  # fmt: skip
        for found in check.CHECKS.values():
            takes = ", ".join(found.takes)
            verdict = found(eval(f"lambda {takes}: made", {"made": made}))
            assert verdict.passed is False and verdict.sentence, (found.name, made)


def test_a_missing_return_is_named():
    def mine(mu, logvar):
        kl(mu, logvar)

    assert "`return`" in check.gaussian_kl(mine).sentence


def test_what_is_no_function_is_told_so():
    sentence = check.gaussian_kl(torch.zeros(3)).sentence
    assert "this is a tensor" in sentence and "check.gaussian_kl(your_function)" in sentence
    assert "(a)" in check.gaussian_kl(lambda a: a).sentence


def test_answers_are_quiet_and_random_numbers_are_put_back(capsys):
    def mine(mu, logvar):
        print("a line for each call")
        return kl(mu, logvar)

    torch.manual_seed(5)
    state = torch.get_rng_state()
    check.reparameterise(lambda mu, logvar: mu + torch.randn_like(mu))
    check.gaussian_kl(mine)
    assert torch.equal(state, torch.get_rng_state())
    assert "a line" not in capsys.readouterr().out


def test_what_overflows_is_shown_with_its_smallest_input():
    verdict = check.CHECKS["generator_loss"](lambda logits: -logits.sigmoid().log().mean())
    assert "For fake_logits = -200 your loss is inf, not 200: the probability" in verdict.sentence


def test_inputs_are_copied():
    x = torch.zeros(3)
    answer = Answer(lambda x: x.add_(1))
    assert answer(x).sum() == 3 and x.sum() == 0


def test_verdicts_do_not_change_from_call_to_call():
    random.seed()
    torch.seed()
    told = {check.dropout.judge(lambda x, p, t: x * (torch.rand_like(x) > p)).sentence
            for _ in range(3)}  # fmt: skip
    assert len(told) == 1


def test_a_starter_is_recognised_by_its_code():
    def starter(x):
        """Say what."""
        return x + 1

    def renamed(y):
        return y + 1  # a comment

    def changed(x):
        return x + 2

    assert not is_empty(starter)
    assert same_code(starter, starter) and not same_code(starter, changed)
    hunt = Check("hunt", "01", ("x",), (), ("Look.",), "Found.", starter=starter)
    assert hunt.judge(starter).state == "not attempted"
    assert hunt.judge(changed).passed
    assert not same_code(starter, renamed)  # another name of the argument: someone worked on it


def test_the_bundle_is_text_page_and_data():
    bundle = Verdict("a", "wrong", ("One <b>.", "Two.")).bundle()
    assert bundle["text/plain"] == "✗ One <b>."
    assert "One &lt;b&gt;." in bundle["text/html"] and "<li>Two.</li>" in bundle["text/html"]
    assert json.loads(json.dumps(bundle[VERDICT_TYPE])) == {
        "name": "a", "passed": False, "state": "wrong", "sentence": "One <b>."}  # fmt: skip


def test_the_summary_counts(capsys):
    check.begin("04")
    check.gaussian_kl(kl)
    check.reparameterise(lambda mu, logvar: mu)
    found = check.summary()
    names = [name for name, known in check.CHECKS.items() if known.chapter == "04"]
    assert list(found.verdicts) == names
    assert found.passed == 1 and found.not_run == len(names) - 2
    printed = capsys.readouterr().out
    assert f"1 of {len(names)} passed, {len(names) - 2} not run" in printed
    assert "iwae_bound: not run" in printed
    check.gaussian_kl(lambda mu, logvar: mu)
    assert check.summary().passed == 0, "the last answer counts"


def test_a_notebook_of_another_edition_says_so(capsys):
    check.begin("04", check.EDITION)
    assert capsys.readouterr().out == ""
    check.begin("04", check.EDITION - 1)
    assert "notebook is older than the package" in capsys.readouterr().out
    check.begin("04", check.EDITION + 1)
    assert "package is older than this notebook" in capsys.readouterr().out
    with pytest.raises(AttributeError, match="no check 'gausian_kl' in this version"):
        check.gausian_kl  # noqa: B018


def test_only_the_edition_that_asks_for_it_raises(monkeypatch):
    monkeypatch.setenv("COURSE_CHECK_RAISES", "1")
    check.gaussian_kl(kl)
    with pytest.raises(AssertionError, match="has the wrong sign"):
        check.gaussian_kl(lambda mu, logvar: -kl(mu, logvar))
    with pytest.raises(AssertionError, match="Nothing is written"):
        check.gaussian_kl(...)


def test_hints_and_solutions_are_shown_one_at_a_time(capsys):
    check.gaussian_kl.hint(2)
    assert capsys.readouterr().out.startswith("**Hint 2 of 3.** Write the formula")
    check.gaussian_kl.hint(4)
    assert "There are 3 hints" in capsys.readouterr().out
    graded = Check("graded", "01", ("x",), (), ("Look.",), "Found.")
    graded.solution()
    assert "instructor" in capsys.readouterr().out


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a graphics card")
def test_an_answer_that_stays_on_the_cpu_is_told_so():
    def mine(mu, logvar):
        return mu + (logvar / 2).exp() * torch.randn(mu.shape)

    assert "graphics card" in check.reparameterise(mine).sentence


@pytest.mark.parametrize(
    ("value", "words"),
    [(torch.tensor([[1.0]]), "1"), (torch.tensor([[0.5, 1e-6]]), "[[0.5, 1e-06]]"), (3, "3"),
     (torch.zeros(3, 4), "a tensor (3, 4)"), (float("nan"), "nan"), (True, "True")],
)  # fmt: skip
def test_numbers_as_a_sentence_holds_them(value, words):
    assert shown(value) == words


def test_nothing_is_shown_twice():
    """The verdict of the last line of a cell has been displayed by the check itself."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        check.gaussian_kl(kl)._ipython_display_()
    assert out.getvalue().count("✓") == 1


def test_a_decoder_that_is_handed_the_image_is_found_out():
    """An autoencoder with a skip past its code would have no error at all."""

    class Skip:
        def encode(self, x):
            self.x = x
            return x.flatten(1)[:, :3]

        def decode(self, z):
            return self.x

    with pytest.raises(Fault, match="knows more than the code"):
        coded(Skip(), torch.rand(5, 1, 2, 2))


def test_extremes_are_asked_of_right_answers_alone():
    """The reason that they give holds for formulas that are right on paper."""
    verdict = check.iwae_bound.judge(lambda w: w.exp().mean(1))
    assert len(verdict.findings) == 1 and "Yours is the mean weight" in verdict.sentence


def test_a_table_too_large_to_be_shown_shows_one_number_that_differs():
    verdict = check.standardise.judge(
        lambda x, train: (x - train.mean(0)) / train.std(0).clamp(0.1)
    )
    assert "a tensor (" not in verdict.sentence

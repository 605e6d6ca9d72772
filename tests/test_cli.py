"""The `course` command: what each command does when nothing is wrong. See test_bad_input, too."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main
from commands import course, dataset, publish, refused, tiny_recipe

import course_utils
from course_tools import commands as clone_commands
from course_utils import cli, data, doctor, folders, recipes, runtime, scoring, train
from course_utils import runs as runs_package
from course_utils.train import one_loss

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = ["doctor", "data", "recipes", "train", "evaluate", "runs", "claims", "bench", "book"]
COMMANDS += ["student", "instructor", "nbgrader", "collect", "grade"]


@pytest.fixture
def tiny(runs, monkeypatch):
    """Add a recipe that trains in no time; runs are kept in a folder of this test."""
    recipe = tiny_recipe()
    monkeypatch.setitem(recipes.RECIPES, "tiny", recipe)
    return recipe


def ran(*words) -> str:
    """Run a command that must succeed; return what it printed on stdout."""
    result = course(*words)
    assert result.exit_code == 0, result.output
    return result.stdout


def run_folder(output: str) -> str:
    """Return the folder that `course train` names in its last line."""
    return output.strip().splitlines()[-1].removeprefix("in ")


# ------------------------------------------------------------------------------------------- help


def test_help_lists_every_command_in_a_full_sentence(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    text = ran("--help")
    for name in (*COMMANDS, "test"):
        assert re.search(rf"^  {name} +[A-Z].*\.$", text, re.M), name
    assert text.count("...") == text.count("[ARGS]...") == 1  # nothing is cut off


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_explained(name):
    text = ran(name, "--help")
    options = re.findall(r"^  (?:--[a-z-]+(?:, -\w)?)(?: [^ ]+)*  +(.*)$", text, re.M)
    assert text.count("\n  --") >= 1
    assert all(options), text


def test_without_arguments_the_help_is_shown():
    assert "Commands:" in course().output


def test_the_version_is_shown():
    assert ran("--version") == f"{course_utils.__version__}\n"


def test_the_help_says_where_to_begin():
    assert "Begin with `course doctor`" in ran("--help")


def test_the_module_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "course_utils", "--help"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("Usage: course ")


def test_an_installed_package_has_no_commands_of_the_clone():
    """`bench`, `book` and `test` need course_tools, which is not installed."""
    code = (
        "import importlib.util as u; f = u.find_spec;"
        "u.find_spec = lambda n, *a: None if n.startswith('course_tools') else f(n, *a);"
        "import sys; sys.argv = ['course', '--help']; from course_utils.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert re.search(r"^  claims ", done.stdout, re.M)
    assert not re.search(r"^  (bench|book|test) ", done.stdout, re.M)


PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "book").rglob("*.md"))]


def quoted(page: Path) -> list[str]:
    """Return the words after `course` wherever a page quotes the command."""
    text = page.read_text(encoding="utf-8")
    found = [" ".join(words.split()) for words in re.findall(r"`course ([^`]+)`", text)]
    for block in re.findall(r"^```console\n(.*?)^```", text, re.M | re.S):
        found += re.findall(r"^(?:\S+/bin/)?course (.*?)(?:\s+#.*)?$", block, re.M)
    return [words for words in found if words != "COMMAND --help"]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_the_commands_that_a_page_quotes_are_understood(page):
    """Word by word, nothing is run; a name alone, as in `course grade`, speaks of the command."""
    known = typer.main.get_command(cli.app).commands
    for line in quoted(page):
        name, *words = shlex.split(line)
        assert name in known, line
        if words:
            known[name].make_context(name, words)


def test_the_readme_quotes_most_commands():
    named = {line.split()[0] for line in quoted(ROOT / "README.md")}
    assert len(named & set(COMMANDS)) > 10


# ----------------------------------------------------------------------------------------- doctor


def test_doctor_names_versions_device_data_and_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    text = ran("doctor")
    assert f"torch {runtime.versions()['torch']}" in text
    assert f"cache        {runtime.cache_dir()}" in text
    assert re.search(r"cpu \(.*, \d+ threads?\)", text)
    assert "course data mnist" in text and "course data fashionmnist" in text


def test_doctor_finds_data_and_what_is_incomplete(tmp_path, monkeypatch):
    raw = publish(tmp_path, monkeypatch)
    assert f"in {raw}" in ran("doctor")
    (raw / "t10k-labels-idx1-ubyte.gz").unlink()
    result = course("doctor")
    assert result.exit_code == 1
    assert "incomplete" in result.stdout and "course data mnist fetches it" in result.stdout


def test_doctor_counts_kept_runs(tiny):
    ran("train", "tiny")
    assert re.search(r"^runs .* 1 kept$", ran("doctor"), re.M)


def test_doctor_works_without_torch(monkeypatch):
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: None)
    result = course("doctor")
    assert result.exit_code == 1
    assert "torch        missing" in result.stdout and "pip install torch" in result.stdout


def test_doctor_does_not_import_torch_before_its_first_lines():
    code = (
        "import sys; from course_utils import doctor; lines = doctor.findings();"
        "first = [next(lines) for _ in range(5)];"
        "assert [f[0] for f in first] == ['course', 'system', 'versions', 'cache', 'runs'];"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_doctor_tells_of_a_cache_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "file" / "cache"))
    result = course("doctor")
    assert result.exit_code == 1 and "cannot write to" in result.stdout


# ------------------------------------------------------------------------------------------- data


def test_data_says_when_it_is_there_and_verifies_on_request(tmp_path, monkeypatch):
    publish(tmp_path, monkeypatch)
    assert "already in" in ran("data", "mnist")
    assert "SHA-256 checked" in ran("data", "mnist", "--verify")


# ------------------------------------------------------------------------------------------ train


def test_train_prints_what_it_reached_and_where_it_is(tiny):
    text = ran("train", "tiny", "--profile", "full", "--seed", "4")
    run = recipes.load(run_folder(text))
    assert (run.profile, run.seed) == ("full", 4)
    for name, value in run.metrics.items():
        assert re.search(rf"^  {name} +{value:.4f}$", text, re.M)
    assert run.path.parent == runtime.runs_dir()


def test_recipes_are_listed_with_what_they_are(tiny):
    assert [line.split()[0] for line in ran("recipes").splitlines()] == recipes.names()
    assert ran("recipes", "mlp_min*", "tiny") == "".join(
        f"{name:32} {recipes.get(name).full.epochs:3}  {recipes.get(name).says}\n"
        for name in ("mlp_minute", "mlp_minute_no_noise", "mlp_minute_hard_labels", "tiny")
    )
    assert ran("recipes", "mlp*", "mlp") == ran("recipes", "mlp*")  # each once


def test_train_says_how_and_takes_threads(tiny, monkeypatch):
    assert re.search(r"^trained [\d.]+ s in float32 on cpu \(.*, 2 threads\)$",
                     ran("train", "tiny", "--threads", "2"), re.M)  # fmt: skip
    monkeypatch.setenv("COURSE_THREADS", "3")
    assert ", 3 threads)" in ran("train", "tiny", "--seed", "1")
    monkeypatch.setenv("COURSE_THREADS", "many")
    assert "COURSE_THREADS is 'many'" in refused("train", "tiny", "--seed", "2")


def test_train_out(tiny, tmp_path):
    ran("train", "tiny", "--out", tmp_path / "here")
    assert recipes.load(tmp_path / "here").seed == 0


def test_no_bar_is_drawn_where_nobody_watches(tiny):
    assert "epoch" not in course("train", "tiny").stderr


def test_a_finished_run_is_kept_and_reported(tiny, monkeypatch):
    first = ran("train", "tiny")
    monkeypatch.setattr(train, "fit", lambda *a, **b: pytest.fail("this was trained already"))
    for option in ([], ["--resume"]):
        again = ran("train", "tiny", *option)
        assert "already trained, and kept" in again
        assert again.splitlines()[1:] == first.splitlines()[1:]


class Stop:
    """Raise KeyboardInterrupt after some epochs, as Ctrl-C does."""

    def __init__(self, monkeypatch, after: int):
        self.left, self.epoch = after, one_loss.train_epoch
        monkeypatch.setattr(one_loss, "train_epoch", self)

    def __call__(self, *args):
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        return self.epoch(*args)


def test_ctrl_c_prints_the_command_that_goes_on(tiny, tmp_path, monkeypatch):
    out = tmp_path / "a folder"
    with monkeypatch.context() as patch:
        Stop(patch, after=2)
        result = course(
            "train", "tiny", "--seed", "3", "--device", "cpu", "--threads", 1, "--out", out
        )
    assert result.exit_code == 130
    assert "2 finished epochs are kept" in result.stderr
    command = result.stderr.strip().splitlines()[-1].removeprefix("To go on:  ")
    options = f"--seed 3 --device cpu --threads 1 --out '{out}' --resume"
    assert command == f"course train tiny {options}"
    assert "resuming the interrupted run" in ran(
        "train", "tiny", "--seed", "3", "--device", "cpu", "--out", out, "--resume"
    )
    ran("train", "tiny", "--seed", "3", "--out", tmp_path / "whole")
    weights = [tmp_path / name / "weights.safetensors" for name in ("a folder", "whole")]
    same = weights[0].read_bytes() == weights[1].read_bytes()
    assert same  # a bool: pytest would print megabytes of difference


def test_without_resume_an_interrupted_run_begins_afresh_and_says_so(tiny, monkeypatch):
    with monkeypatch.context() as patch:
        Stop(patch, after=2)
        assert course("train", "tiny").exit_code == 130
    epochs = []
    plain = one_loss.train_epoch
    monkeypatch.setattr(one_loss, "train_epoch", lambda *a: epochs.append(a[-1]) or plain(*a))
    assert "starting afresh, over an interrupted run" in ran("train", "tiny")
    assert epochs == [0, 1, 2]


def test_resume_without_a_checkpoint_starts_afresh_and_says_so(tiny):
    assert "nothing to resume: starting afresh" in ran("train", "tiny", "--resume")


def test_ctrl_c_before_the_training_begins(tiny, monkeypatch):
    def interrupted(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(runs_package, "run", interrupted)
    result = course("train", "tiny")
    assert result.exit_code == 130 and "course train tiny --resume" in result.stderr
    monkeypatch.setattr(runs_package, "plan", interrupted)
    result = course("train", "tiny")
    assert result.exit_code == 130 and "stopped by hand" in result.stderr


# --------------------------------------------------------------------------------------- evaluate


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_evaluate_computes_again_what_was_recorded(tiny, split):
    folder = run_folder(ran("train", "tiny"))
    for run in (folder, "tiny"):
        text = ran("evaluate", run, "--split", split)
        rows = re.findall(r"^(\w+) +([\d.]+) +([\d.]+)$", text, re.M)
        recorded = recipes.load(folder).metrics
        assert {name for name, _, _ in rows} == {"loss", "sse"}
        for name, now, then in rows:
            assert now == then == f"{recorded[f'{split}_{name}']:.4f}"
        assert "as recorded" in text


def test_evaluate_really_computes(tiny, monkeypatch):
    """With another loss function the same weights score differently, and that is said."""
    folder = run_folder(ran("train", "tiny"))

    def doubled(model, x, y):
        return {name: 2 * term for name, term in tiny.loss(model, x, y).items()}

    doubled.__name__ = tiny.loss.__name__
    monkeypatch.setitem(recipes.RECIPES, "tiny", tiny_recipe(loss=doubled))
    result = course("evaluate", folder)
    assert result.exit_code == 1 and "NOT as recorded" in result.stdout


def test_evaluate_on_other_images_says_so(tiny, monkeypatch):
    folder = run_folder(ran("train", "tiny"))

    def other(profile=None):
        found = dataset()
        return data.Dataset("mnist", "real", "1" * 64, found.train, found.val, found.val, ())

    monkeypatch.setitem(recipes.RECIPES, "tiny", tiny_recipe(data=other))
    assert "other images: the run was scored on drawn digits" in ran("evaluate", folder)


def test_scoring_needs_every_term_to_agree(tiny):
    folder = run_folder(ran("train", "tiny"))
    path = Path(folder) / "run.json"
    info = folders.read_json(path)
    info["metrics"]["test_sse"] *= 1 + 2 * scoring.TOLERANCE
    folders.write_json(path, info)
    assert course("evaluate", folder).exit_code == 1


def test_a_term_that_one_side_lacks_does_not_agree(tiny):
    folder = Path(run_folder(ran("train", "tiny")))
    info = folders.read_json(folder / "run.json")
    for metrics in ({"test_more": 1.0}, {}):
        changed = {k: v for k, v in info["metrics"].items() if metrics or k != "test_sse"}
        folders.write_json(folder / "run.json", info | {"metrics": changed | metrics})
        result = course("evaluate", folder)
        assert result.exit_code == 1 and "NOT as recorded" in result.stdout


def test_evaluate_chooses_by_profile_and_seed(tiny):
    ran("train", "tiny", "--seed", "2", "--profile", "full")
    assert "full, seed 2" in ran("evaluate", "tiny", "--seed", "2", "--profile", "full")
    assert "course train" in refused("evaluate", "tiny")


# ------------------------------------------------------------------------------------------ bench


def test_bench_prints_a_table_and_writes_flat_records(tiny, tmp_path, monkeypatch):
    from course_tools import bench

    monkeypatch.setattr(bench, "MATMUL_SIDE", 64)
    text = ran("bench", "tiny", "--rounds", "1", "--json", tmp_path / "bench.json")
    (record,) = json.loads((tmp_path / "bench.json").read_text())
    assert record["recipe"] == "tiny" and record["timed_epochs"] == 1
    assert not any(isinstance(value, (dict, list)) for value in record.values())
    assert f"{record['speedup_ratio']:.2f}" in text.splitlines()[-1]


def test_bench_asks_for_its_file_before_it_spends_minutes(tiny, tmp_path, monkeypatch):
    from course_tools import bench

    monkeypatch.setattr(bench, "records", lambda *a, **b: pytest.fail("too early"))
    (tmp_path / "file").write_text("")
    assert "cannot write" in refused("bench", "tiny", "--json", tmp_path / "file" / "x.json")
    assert "is a folder" in refused("bench", "tiny", "--json", tmp_path)


# ----------------------------------------------------------------------------------- in the clone


def test_book_and_test_call_the_tasks_of_the_clone(monkeypatch):
    called = []
    monkeypatch.setattr(clone_commands, "task", lambda *words: called.append(words) or 3)
    assert course("book").exit_code == 3
    assert course("test", "-k", "losses", "tests").exit_code == 3
    assert called == [("book",), ("test", "-k", "losses", "tests")]


def test_book_executes_first_and_stops_at_a_failing_cell(monkeypatch):
    from course_tools.chapters import execute

    calls = []
    monkeypatch.setattr(clone_commands, "task", lambda *words: calls.append(words) or 0)
    monkeypatch.setattr(execute, "execute", lambda *a: calls.append(a))
    ran("book", "01", "--execute", "--record", "--profile", "full")
    assert calls == [(["01"], "full", True), ("book",)]

    def fails(*args):
        raise execute.CellFailed("code cell 3 failed")

    monkeypatch.setattr(execute, "execute", fails)
    result = course("book", "--execute")
    assert result.exit_code == 1 and "code cell 3 failed" in result.stderr
    assert calls[2:] == []


def test_book_takes_chapters_and_record_with_execute_only():
    assert "--execute" in refused("book", "01")
    assert "--execute" in refused("book", "--record")


def test_the_commands_that_compute_are_not_needed_to_read_claims():
    code = (
        "import sys; sys.argv = ['course', 'claims', '--json'];"
        "from course_utils.cli import main\n"
        "try: main()\n"
        "except SystemExit as done: assert not done.code\n"
        "assert not {'torch', 'numpy', 'torchvision'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)

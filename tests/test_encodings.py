"""Whatever is read, written or printed names its encoding, or works in every one."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from course_utils import claims, console
from course_utils.errors import CourseError

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("course_utils", "course_tools", "book/_ext")
FILES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
RUNS = {"run", "Popen", "check_output", "check_call"}


def without_encoding(tree: ast.AST) -> list[int]:
    """Return the lines in which text is read or written in whatever encoding the system has."""
    found = []
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call):
            continue
        name = getattr(call.func, "attr", getattr(call.func, "id", ""))
        words = {word.arg: word.value for word in call.keywords}
        if "encoding" in words:
            continue
        if name in {"read_text", "write_text"} and not call.args[int(name == "write_text") :]:
            owner = ast.unparse(call.func.value)
            found += [call.lineno] * (owner != "folders")  # which reads UTF-8 itself
        elif name == "open" and ast.unparse(call.func) != "Image.open":
            # pathlib's takes the mode first, the others second; archives and addresses are bytes
            place = 1 if isinstance(call.func, ast.Name) else 0
            mode = words.get("mode", call.args[place] if len(call.args) > place else None)
            binary = isinstance(mode, ast.Constant) and "b" in str(mode.value)
            owner = ast.unparse(call.func.value) if isinstance(call.func, ast.Attribute) else ""
            found += [call.lineno] * (
                not binary and owner not in {"gzip", "os", "tarfile", "Image"}
            )
        elif name in RUNS and {"text", "universal_newlines"} & set(words):
            found.append(call.lineno)
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_text_is_read_and_written_in_a_named_encoding(path):
    assert without_encoding(ast.parse(path.read_text(encoding="utf-8"))) == []


def test_the_test_of_encodings_sees_each_way():
    bad = (
        "open(p)", "open(p, 'w')", "p.open()", "p.open('r+')", "p.read_text()", "p.write_text(x)",
        "subprocess.run(c, text=True)", "open(p, mode='a')",
    )  # fmt: skip
    good = (
        "open(p, 'rb')", "p.open('wb')", "p.read_text('utf-8')", "p.write_text(x, 'utf-8')",
        "p.read_text(encoding='utf-8')", "open(p, encoding='utf-8')", "gzip.open(p)",
        "folders.read_text(p)", "subprocess.run(c)", "subprocess.run(c, text=True, encoding='u8')",
    )  # fmt: skip
    assert [without_encoding(ast.parse(line)) for line in bad] == [[1]] * len(bad)
    assert [without_encoding(ast.parse(line)) for line in good] == [[]] * len(good)


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "cp437", "utf-8"])
def test_every_sign_is_printed_in_some_way(encoding, tmp_path):
    env = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    with (tmp_path / "out").open("wb") as out:
        done = subprocess.run(
            [sys.executable, "-m", "course_utils", "claims"], stdout=out, stderr=subprocess.PIPE,
            env=env,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    lines = (tmp_path / "out").read_bytes().decode(encoding).splitlines()
    assert len(lines) == len(claims.load()) + 1
    assert sum(line.startswith("✓" if encoding == "utf-8" else "+") for line in lines) > 10


def test_records_for_programs_are_whole_in_every_encoding():
    env = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", "course_utils", "claims", "--json"]
    rows = json.loads(subprocess.run(command, stdout=subprocess.PIPE, env=env, check=True).stdout)
    assert {row["id"]: row["says"] for row in rows} == {
        c.id: c.says for c in claims.load().values()
    }


def test_a_verdict_in_a_script_of_ones_own_does_not_end_it():
    code = "from course_utils import console; console.say('✓ a ≥ b – ℵ'); console.say('done')"
    env = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, env=env, check=True)
    assert done.stdout.decode("ascii").splitlines() == ["+ a >= b - ?", "done"]


@pytest.mark.parametrize(("ending", "status"), [(None, 0), (0, 0), (1, 1), ("a mistake", 2)])
def test_a_command_ends_with_a_status_and_in_words(capsys, ending, status):
    @console.command
    def main(words):
        """Do what the words name."""
        if isinstance(ending, str):
            raise CourseError(f"{ending} in {words}")
        return ending

    assert main(["x"]) == status and main.__doc__ == "Do what the words name."
    assert capsys.readouterr().err == ("a mistake in ['x']\n" if status == 2 else "")


def test_a_command_shows_what_is_no_mistake_of_the_person():
    with pytest.raises(ZeroDivisionError):
        console.command(lambda: 1 / 0)()


def test_what_can_be_printed_stays_as_it_is(capsys):
    console.say("✓ ünlü")
    assert capsys.readouterr().out == "✓ ünlü\n"

"""Publishing, rehearsed against a bare repository on this machine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import sample
import yaml

from course_tools.chapters import stored
from course_tools.editions import publish, student, wheel
from course_utils.errors import CourseError

WHEEL = "autoencoder_course-0.1.0-py3-none-any.whl"
BUTTON = '<a href="https://colab.research.google.com/github/octo/fork/blob/gh-pages/student/{}">'
EXERCISE = f"notebooks/exercises/{sample.NAME}.ipynb"


def git(folder, *words) -> str:
    """Run git, whatever the user's settings."""
    who = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", "-C", folder, *who, *words], check=True, capture_output=True,
                          encoding="utf-8")  # fmt: skip
    return done.stdout.strip()


@pytest.fixture(autouse=True)
def plain_git(monkeypatch):
    """Keep the user's settings of git and of GitHub's actions out of the tests."""
    for name in [name for name in os.environ if name.startswith(("GIT_", "GITHUB_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("COURSE_PUBLISHING", "")  # which publishing sets: back to this afterwards


@pytest.fixture
def fork(clone, tmp_path, monkeypatch):
    """Return a clone of a fork, with a bare repository as its remote, in place of GitHub."""
    git(tmp_path, "init", "-q", "--bare", "github.git")
    git(clone, "init", "-q")
    git(clone, "add", "notebooks")
    git(clone, "commit", "-q", "-m", "a chapter")
    git(clone, "remote", "add", "origin", "https://github.com/octo/fork")
    git(clone, "config", f"url.{tmp_path / 'github.git'}.insteadOf", "https://github.com/octo/fork")
    git(clone, "push", "-q", "origin", "HEAD:main")
    git(clone, "fetch", "-q", "origin")
    site(clone, monkeypatch)
    return clone


def site(clone, monkeypatch, button: str = BUTTON.format(EXERCISE)) -> None:
    """Let the built book be one page with a button, and the wheel a few bytes."""

    def built(root):
        html = root / "_build" / "html"
        html.mkdir(parents=True, exist_ok=True)
        (html / "index.html").write_text(f"<p>{button}Colab</a>", encoding="utf-8")
        return html

    def made(into, root):
        into.mkdir()
        (into / WHEEL).write_bytes(b"wheel")
        return into / WHEEL

    monkeypatch.setattr(publish, "built_site", built)
    monkeypatch.setattr(wheel, "build", made)


def published(tmp_path, *words) -> str:
    """Ask the bare repository about its branch of the pages."""
    return git(tmp_path / "github.git", *words)


def test_site_and_student_notebooks_are_on_the_branch_of_the_pages(fork, tmp_path):
    publish.publish(fork)
    names = published(tmp_path, "ls-tree", "-r", "--name-only", "gh-pages").splitlines()
    assert {"index.html", ".nojekyll", f"student/{EXERCISE}", f"student/wheels/{WHEEL}"} <= set(
        names
    )
    first = published(tmp_path, "show", f"gh-pages:student/{EXERCISE}")
    assert (
        f"https://octo.github.io/fork/student/wheels/{WHEEL}" in first
    )  # written by nobody's hand
    assert "https://github.com/octo/fork/releases/latest/download" in first
    assert "number + number" not in first


def test_the_clone_stays_as_it_is_and_nothing_is_pushed_twice(fork, tmp_path, capsys):
    before = git(fork, "diff", "HEAD", "--stat"), git(fork, "branch")
    publish.publish(fork)
    one = published(tmp_path, "rev-parse", "gh-pages")
    publish.publish(fork)
    assert published(tmp_path, "rev-parse", "gh-pages") == one
    assert "gh-pages is up to date" in capsys.readouterr().out
    assert (git(fork, "diff", "HEAD", "--stat"), git(fork, "branch")) == before
    (fork / EXERCISE).write_text((fork / EXERCISE).read_text().replace("Multiply.", "Times."))
    publish.publish(fork)
    assert published(tmp_path, "rev-parse", "gh-pages^") == one  # added, not forced


def test_a_branch_that_holds_something_else_is_left_alone(fork, tmp_path):
    git(fork, "push", "-q", "origin", "HEAD:gh-pages")
    one = published(tmp_path, "rev-parse", "gh-pages")
    with pytest.raises(CourseError, match="holds something else"):
        publish.publish(fork)
    assert published(tmp_path, "rev-parse", "gh-pages") == one


@pytest.mark.parametrize(
    "button",
    [
        BUTTON.format("notebooks/gone.ipynb"),
        BUTTON.format(EXERCISE).replace("octo/fork", "octo/other"),
        BUTTON.format(EXERCISE).replace("gh-pages", "main"),
        "<a>",
    ],
)
def test_a_button_that_leads_nowhere_stops_it(fork, tmp_path, monkeypatch, button):
    site(fork, monkeypatch, button)
    with pytest.raises(CourseError, match=r"Colab|is not there"):
        publish.publish(fork)
    assert "gh-pages" not in published(tmp_path, "branch", "-a")


def test_without_a_remote_nothing_is_published(clone):
    with pytest.raises(CourseError, match="nothing can be published"):
        publish.publish(clone)


def test_a_push_that_is_refused_is_told_in_words(fork, tmp_path):
    hook = tmp_path / "github.git" / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho no entry\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(CourseError, match=r"(?s)git push failed.*no entry"):
        publish.publish(fork)


# --------------------------------------------------------------------------------- the release


@pytest.fixture
def gh(tmp_path, monkeypatch):
    """Put a stand-in for GitHub's command on the path; return what it was asked."""
    script = tmp_path / "bin" / "gh"
    script.parent.mkdir()
    script.write_text(
        f"#!{sys.executable}\nimport os, sys, pathlib\n"
        f"asked = pathlib.Path({str(tmp_path / 'asked')!r})\n"
        "with asked.open('a') as file: print(*sys.argv[1:], file=file)\n"
        "if sys.argv[2:4] == ['view', 'v1']: sys.exit('release not found')\n"
        "if sys.argv[2] == 'view' and os.environ.get('NO_RUNS'): sys.exit('release not found')\n"
        "if sys.argv[2] == 'download':\n"
        "    pathlib.Path(sys.argv[-1], 'runs.json').write_text('{}')\n"
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("GITHUB_REF_TYPE", "tag")
    monkeypatch.setenv("GITHUB_REF_NAME", "v1")
    return tmp_path / "asked"


def test_a_tag_gets_a_release_with_wheel_and_runs(gh, tmp_path):
    (tmp_path / "student" / "wheels").mkdir(parents=True)
    (tmp_path / "student" / "wheels" / WHEEL).write_bytes(b"wheel")
    assert publish.release(tmp_path) == "the release v1 has 2 files"
    create = gh.read_text().splitlines()[-1]
    assert create.startswith("release create v1 --verify-tag") and create.endswith(WHEEL)
    assert "runs.json" in create
    assert publish.release_address("https://github.com/o/n").endswith("/releases/download/v1")


def test_without_packed_runs_the_release_has_the_wheel_alone(gh, tmp_path, monkeypatch):
    monkeypatch.setenv("NO_RUNS", "1")
    (tmp_path / "student" / "wheels").mkdir(parents=True)
    (tmp_path / "student" / "wheels" / WHEEL).write_bytes(b"wheel")
    assert publish.release(tmp_path) == "the release v1 has 1 files"


def test_a_branch_gets_no_release(tmp_path):
    assert "no release is made" in publish.release(tmp_path)


def test_the_workflow_has_one_mechanism_and_the_right_to_it():
    text = (stored.ROOT / ".github/workflows/publish.yml").read_text(encoding="utf-8")
    said = yaml.safe_load(text)
    assert said["permissions"] == {"contents": "write"}
    (job,) = said["jobs"].values()
    assert [step["run"] for step in job["steps"] if "run" in step] == ["make test", "make publish"]
    assert "GH_TOKEN" in job["steps"][-1]["env"]
    assert not any("pages" in step.get("uses", "") for step in job["steps"])


def test_the_address_of_the_site_has_to_be_one():
    assert student.site_address("https://a.github.io/b") == "https://a.github.io/b/"
    with pytest.raises(CourseError, match="is no address"):
        student.site_address(str(Path("b")))

"""Publish the course: the site and the student edition on one branch, and a release for the runs.

    python -m course_tools.editions.publish [--remote NAME] [--no-push]

The branch is `gh-pages`, from which GitHub Pages serves: the built book, and below `student/` the
notebooks that Colab opens and the wheel that they install. A commit is added to it, nothing is
forced, and a branch that holds something else is left alone. On a tag, a release is made too: with
the wheel, and with the runs of the book that lie in the release called `runs`.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote

from course_tools.chapters import stored
from course_tools.editions import folder, student, wheel
from course_tools.site import build
from course_utils import console, folders
from course_utils.errors import CourseError

COLAB = re.compile(r'href="(https://colab\.research\.google\.com/[^"]*)"')
MADE_BY = ("-c", "user.name=course publish", "-c", "user.email=publish@users.noreply.github.com")
STORE = "runs"  # the release that authors put packed runs into


def repository_module() -> ModuleType:
    """Return book/_ext/repository.py, which knows where the book is published."""
    path = stored.ROOT / "book" / "_ext" / "repository.py"
    spec = importlib.util.spec_from_file_location("course_repository", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclass asks for it
    spec.loader.exec_module(module)
    return module


def publish(root: Path = stored.ROOT, remote: str = "origin", push: bool = True) -> Path:
    """Build everything that is published, and push it; return the folder that was pushed.

    Raises CourseError when nobody knows where the clone is published, when a button of a page leads
    to no notebook, or when the branch cannot be pushed.
    """
    where = repository_module()
    os.environ[where.PUBLISHING] = "1"
    try:
        found = where.find_repository(root)
    except where.Unknown as error:
        raise CourseError(f"nothing can be published: {error}") from None
    tree = root / "_build" / "published"
    shutil.rmtree(tree, ignore_errors=True)
    site = built_site(root)
    folders.make_folder(tree.parent)
    shutil.copytree(site, tree)
    edition = tree / where.STUDENT.rstrip("/")
    student.write(edition, found.pages_url, root=root, release=release_address(found.url))
    (tree / ".nojekyll").write_text("", encoding="utf-8")
    refuse_dead_buttons(tree, found.url, where)
    if push:
        print(pushed(root, tree, remote, where.PAGES))
    return tree


def built_site(root: Path) -> Path:
    """Return the folder of the freshly built book; CourseError with its faults."""
    try:
        return build.build(root, if_stale=True).parent
    except build.BookFailed as error:
        raise CourseError(str(error)) from None


def release_address(url: str) -> str:
    """Return where the files of the release will be: of the tag that is built, else the latest."""
    tag = os.environ.get("GITHUB_REF_NAME") if os.environ.get("GITHUB_REF_TYPE") == "tag" else None
    return f"{url}/releases/download/{tag}" if tag else f"{url}/releases/latest/download"


def refuse_dead_buttons(tree: Path, url: str, where: ModuleType) -> None:
    """Raise CourseError unless each button to Colab leads to a notebook that is published."""
    start = url.replace(where.GITHUB, "https://colab.research.google.com/github")
    start += f"/blob/{where.PAGES}/"
    count = 0
    for page in sorted(tree.rglob("*.html")):
        for link in COLAB.findall(page.read_text(encoding="utf-8")):
            target = tree / unquote(link.removeprefix(start))
            if not (link.startswith(start) and link.endswith(".ipynb") and target.is_file()):
                raise CourseError(f"{page.relative_to(tree)} leads to {link}, which is not there")
            count += 1
    if not count:
        raise CourseError("no page leads to Colab; are the notebooks committed?")


def pushed(root: Path, tree: Path, remote: str, branch: str) -> str:
    """Add a commit with the content of `tree` to a branch of a remote; return what was done.

    The clone's own files, index and branches stay as they are.
    """
    git = Git(root)
    head = git("ls-remote", remote, f"refs/heads/{branch}").split("\t")[0]
    if head:
        git("fetch", "--quiet", "--depth=1", remote, head)
        if not git("ls-tree", head, f"student/{folder.MARK}"):
            raise CourseError(
                f"the branch {branch} of {remote} holds something else; nothing was pushed: "
                "rename it there, if this course may have the name"
            )
    with tempfile.TemporaryDirectory() as place:
        own = Git(root, tree, Path(place) / "index")
        own("add", "--all", "--force", ".")
        content = own("write-tree")
    if head and content == git("rev-parse", f"{head}^{{tree}}"):
        return f"{branch} is up to date"
    version = git("describe", "--tags", "--always")
    parents = ["-p", head] if head else []
    commit = git(*MADE_BY, "commit-tree", content, *parents, "-m", f"Pages of {version}")
    git("push", "--quiet", remote, f"{commit}:refs/heads/{branch}")
    return f"{branch} of {remote} is now {commit[:10]}"


class Git:
    """Runs git in a clone; with a tree and an index of their own where these are given."""

    def __init__(self, root: Path, tree: Path | None = None, index: Path | None = None):
        self.command = ["git", "-C", str(tree or root)]
        self.env = {k: v for k, v in os.environ.items() if k not in ("GIT_DIR", "GIT_WORK_TREE")}
        if tree is not None:
            where = Git(root)("rev-parse", "--absolute-git-dir")
            self.env |= {"GIT_DIR": where, "GIT_WORK_TREE": str(tree),
                         "GIT_INDEX_FILE": str(index)}  # fmt: skip

    def __call__(self, *words: str) -> str:
        """Return what git prints; CourseError with its words where it fails."""
        done = subprocess.run([*self.command, *words], env=self.env, capture_output=True,
                              encoding="utf-8", errors="replace")  # fmt: skip
        if done.returncode:
            said = done.stderr.strip() or done.stdout.strip()
            raise CourseError(f"git {words[0]} failed: {said}")
        return done.stdout.strip()


# ------------------------------------------------------------------------------------- the release


def release(tree: Path) -> str:
    """Make the release of the tag that is built; return what was done.

    It gets the wheel, and the runs that authors packed with `course runs pack` and uploaded to the
    release called `runs`; without those, chapters train their own.
    """
    tag = os.environ.get("GITHUB_REF_NAME", "")
    if os.environ.get("GITHUB_REF_TYPE") != "tag":
        return "no tag is built: no release is made"
    with tempfile.TemporaryDirectory() as place:
        has_runs = gh("release", "view", STORE) is not None
        if has_runs and gh("release", "download", STORE, "--dir", place) is None:
            raise CourseError(f"the files of the release {STORE!r} could not be downloaded")
        files = [*sorted(Path(place).iterdir()),
                 *sorted((tree / "student" / wheel.FOLDER).glob("*.whl"))]  # fmt: skip
        command = ["release", "create", tag, "--verify-tag", "--generate-notes", *map(str, files)]
        if gh("release", "view", tag) is not None:
            command = ["release", "upload", tag, "--clobber", *map(str, files)]
        if gh(*command) is None:
            raise CourseError(f"the release {tag} could not be made; the lines above say why")
    return f"the release {tag} has {len(files)} files"


def gh(*words: str) -> str | None:
    """Return what GitHub's command prints; None where it fails."""
    try:
        done = subprocess.run(["gh", *words], capture_output=True, encoding="utf-8")
    except OSError:
        raise CourseError("GitHub's command gh is not installed: https://cli.github.com") from None
    if done.returncode and "not found" not in done.stderr:
        print(done.stderr.strip(), file=sys.stderr)
    return done.stdout if done.returncode == 0 else None


def main(words: list[str]) -> int:
    """Publish; return the exit status."""
    console.be_lenient()
    parser = argparse.ArgumentParser(prog="make publish", description="Publish the course.")
    parser.add_argument("--remote", default="origin", help="of git, to push to")
    parser.add_argument("--no-push", action="store_true", help="only make what would be pushed")
    chosen = parser.parse_args(words)
    try:
        tree = publish(remote=chosen.remote, push=not chosen.no_push)
        if not chosen.no_push:
            print(release(tree))
    except CourseError as error:
        print(f"course: {error}", file=sys.stderr)
        return 2
    print(f"What is published lies in {tree}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The slice of a claim holds what the claim rests on and little else, and gives its value."""

import ast
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from course_tools.chapters import execute, rerun, slices, stored
from course_tools.chapters.cells import code_cells
from course_utils import claims


def slice_of(*cells: str, id: str = "a.b") -> str:
    """Return the slice of a claim that the last of these cells judges, as one text."""
    last = [*cells, f"claims.judge({id!r}, value)"]
    nb = new_notebook(cells=[new_code_cell(cell) for cell in last])
    return "\n".join(slices.as_cells(slices.backward(slices.statements(nb), id)))


KEPT = {  # name: (cells before `claims.judge("a.b", value)`, what of them must be kept)
    "chain": (["a = 1\nb = 2", "value = a"], "a = 1\nvalue = a"),
    "redefined": (["a = 1", "a = 2\nvalue = a", "a = 3"], "a = 2\nvalue = a"),
    "maybe redefined": (
        ["a = 1", "if full:\n    a = 2", "value = a"],
        "a = 1\nif full:\n    a = 2\nvalue = a",
    ),
    "imports": (["import os\nfrom a import b", "value = 1"],
                "import os\nfrom a import b\nvalue = 1"),
    "magic": (["%config x = 1\n!ls", "value = 1"], "value = 1"),
    "item set": (["a = {}\nb = {}", "a['x'] = 1\nb['x'] = 1", "value = a"],
                 "a = {}\na['x'] = 1\nvalue = a"),
    "attribute set": (["a = f()", "a.x.y = 1\na.z", "value = a"], "a = f()\na.x.y = 1\nvalue = a"),
    "added to": (["n = 1", "n += 1", "value = n"], "n = 1\nn += 1\nvalue = n"),
    "method": (["a = []\nb = a.copy()", "a.append(1)", "value = a"],
               "a = []\na.append(1)\nvalue = a"),
    "fitted": (["m = f()\nother = f()", "train.fit(m, loss)\ntrain.fit(other, loss)", "value = m"],
               "m = f()\ntrain.fit(m, loss)\nvalue = m"),
    "in place": (["a = f()", "nn.init.zeros_(a)", "value = a"],
                 "a = f()\nnn.init.zeros_(a)\nvalue = a"),
    "loop": (["s = 0\nfor i in xs:\n    t = i\n    s += t", "value = s"],
             "s = 0\nfor i in xs:\n    t = i\n    s += t\nvalue = s"),
    "with": (["with no_grad():\n    a = f()", "value = a"],
             "with no_grad():\n    a = f()\nvalue = a"),
    "loop variable": (["for run in runs_of(x):\n    pass", "value = run"],
                      "for run in runs_of(x):\n    pass\nvalue = run"),
    "optimizer": (
        ["net = f()\nopt = torch.optim.Adam(net.parameters())", "opt.step()", "value = net"],
        "net = f()\nopt = torch.optim.Adam(net.parameters())\nopt.step()\nvalue = net",
    ),
    "other name": (["a = f()\nb = a.part", "b.append(1)", "value = a"],
                   "a = f()\nb = a.part\nb.append(1)\nvalue = a"),
    "held": (["a = f()\nall_of = [a]", "a.append(1)", "value = all_of"],
             "a = f()\nall_of = [a]\na.append(1)\nvalue = all_of"),
    "held, not changed": (["a = f()\nd = {'a': a}", "d['b'] = 1", "value = a"],
                          "a = f()\nvalue = a"),
    "called later": (
        ["k = 1", "def g(x):\n    return k * x", "k = 2", "k = 3\nvalue = g(1)"],
        "k = 1\ndef g(x):\n    return k * x\nk = 3\nvalue = g(1)",
    ),
    "called through": (
        ["k = 1", "def g(x):\n    return k", "def h(x):\n    return g(x)", "value = h(1)"],
        "k = 1\ndef g(x):\n    return k\ndef h(x):\n    return g(x)\nvalue = h(1)",
    ),
    "lambda in a table": (["k = 1\nd = {'f': lambda x: k}", "k = 2", "value = d['f'](1)"],
                          "k = 1\nd = {'f': lambda x: k}\nk = 2\nvalue = d['f'](1)"),
    "step": (
        ["net = f()\nopt = SGD(net.parameters())", "def step(x):\n    opt.step()",
         "for x in xs:\n    step(x)", "value = net"],
        "net = f()\nopt = SGD(net.parameters())\ndef step(x):\n    opt.step()\n"
        "for x in xs:\n    step(x)\nvalue = net",
    ),
    "argument changed": (
        ["a = []\nb = []", "def fill(x):\n    y = x\n    y.append(1)", "fill(a)", "value = a"],
        "a = []\ndef fill(x):\n    y = x\n    y.append(1)\nfill(a)\nvalue = a",
    ),
    "argument read": (["a = []", "def size(x):\n    return x.sum()", "n = size(a)", "value = a"],
                      "a = []\nvalue = a"),
    "figures": (["a = f()", "ax = plotting.curves(a)\nax.set(x=a)\nplt.plot(a)", "value = a"],
                "a = f()\nvalue = a"),
    "other claims": (["a = f()\nclaims.judge('a.c', a)", "value = a"], "a = f()\nvalue = a"),
    "seed": (["torch.manual_seed(0)\nx = torch.rand(1)\ny = torch.rand(1)", "value = y"],
             "torch.manual_seed(0)\nx = torch.rand(1)\ny = torch.rand(1)\nvalue = y"),
    "seed, drawn by a model": (["torch.manual_seed(0)\nx = vae(a)\ny = vae(a)", "value = y"],
                               "torch.manual_seed(0)\nx = vae(a)\ny = vae(a)\nvalue = y"),
    "seed of an older chapter": (
        ["torch.manual_seed(0)", "x = torch.rand(1)\nz = len(a)", "value = torch.rand(1)"],
        "torch.manual_seed(0)\nx = torch.rand(1)\nvalue = torch.rand(1)",
    ),
    "generator": (["torch.manual_seed(0)", "value = torch.rand(1, generator=g)"],
                  "value = torch.rand(1, generator=g)"),
}  # fmt: skip


@pytest.mark.parametrize("name", KEPT)
def test_what_is_kept(name):
    cells, kept = KEPT[name]
    assert slice_of(*cells) == kept + "\nclaims.judge('a.b', value)"


def test_an_unknown_claim():
    with pytest.raises(KeyError):
        slices.backward(slices.statements(new_notebook(cells=[new_code_cell("x = 1")])), "a.b")


@pytest.mark.parametrize(
    ("source", "draws"),
    [
        ("x = torch.rand(3)", True),
        ("torch.manual_seed(0)\nx = torch.rand(3)", False),
        ("x = torch.rand(3)\ntorch.manual_seed(0)", True),
        ("x = torch.rand(3, generator=g)", False),
        ("def f():\n    return torch.rand(3)", False),
        ("def f():\n    return torch.rand(3)\n\nx = f()", True),
        ("def f():\n    torch.manual_seed(1)\n    return torch.rand(3)\n\nx = f()", False),
        ("runtime.seed_everything(0)\nfor i in range(3):\n    x = z.normal_()", False),
    ],
)
def test_cells_that_draw_without_a_seed_are_found(source, draws):
    nb = new_notebook(cells=[new_code_cell("torch.manual_seed(0)"), new_code_cell(source)])
    assert list(slices.unseeded(nb)) == ([1] if draws else [])


def test_recipes_are_read_from_the_code():
    nb = new_notebook(cells=[new_code_cell("a = recipes.run('ae')\nb = runs.run_seeds('vae', 3)")])
    assert slices.recipes_in(slices.statements(nb)) == {"ae", "vae"}


def test_a_slice_is_small():
    """What a number about one network rests on is no other network."""
    nb = nbformat.read(stored.FOLDER / "01_vanilla_autoencoder.ipynb", as_version=4)
    of = slices.statements(nb)
    for id, recipes in (
        ("ae.train", {"ae"}),
        ("ae.pca-3", set()),
        ("ae.wide", {"ae_wide"}),
    ):
        kept = slices.backward(of, id)
        assert slices.recipes_in(kept) == recipes and len(kept) < 15


@pytest.mark.parametrize("path", stored.chapters(), ids=lambda path: path.stem)
def test_a_claim_names_no_run_that_its_slice_does_not_ask_for(path):
    """Else its record would name the device of another run, and a rerun would train in vain.

    Names may be put together, as in f"vae_beta_{beta}".
    """
    if path.stem == "06_gan_faces":
        pytest.skip("its networks come with the package; `recipes` says how they were trained")
    nb, stated = nbformat.read(path, as_version=4), claims.load()
    of = slices.statements(nb)
    for id in stored.judged_in(nb):
        nodes = (node for s in slices.backward(of, id) for node in ast.walk(s.tree))
        words = {node.value for node in nodes if isinstance(node, ast.Constant)}
        beginnings = tuple(w for w in words if isinstance(w, str) and w.endswith("_"))
        strange = [name for name in stated[id].recipes
                   if name not in words and not name.startswith(beginnings)]  # fmt: skip
        assert not strange, f"{id} names {strange}"


# ------------------------------------------------------------------------ the value of the chapter

MEASURED = {  # by notebook: claims of several kinds, cheap in quick; of others, three of them all
    "01_vanilla_autoencoder": ["ae.loop-is-fit", "ae.pca-3", "ae.linear-subspace", "ae.box-codes"],
    "04_variational_autoencoder": ["vae.two-peaks", "vae.midpoints", "vae.fd-codes"],
    "05_conditional_autoencoder": ["cvae.by-chance", "cvae.cae-probe", "cvae.slant-steps"],
}


def chosen(path: Path, nb) -> list[str]:
    """Return the claims of a notebook whose slices are tried."""
    ids = stored.judged_in(nb)
    return MEASURED.get(path.stem) or ids[:: max(1, len(ids) // 3)]


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """Return a function that executes cells of a chapter in quick and tells what they judged.

    Everything is stated as judged always, so that the quick profile judges and records all.
    """
    home = tmp_path_factory.mktemp("slices")
    statements = home / "claims"
    statements.mkdir()
    for path in claims.folder().glob("*.toml"):
        text = path.read_text(encoding="utf-8").replace('judged = "full"', 'judged = "always"')
        lenient = "\n".join('bound = "> -1e9"' if line.startswith("bound = ") else line
                            for line in text.splitlines())  # fmt: skip
        (statements / path.name).write_text(lenient, encoding="utf-8")
    first = new_code_cell(
        f"from pathlib import Path as _P\nfrom course_utils import claims as _c\n"
        f"_c.folder = lambda: _P({str(statements)!r})"
    )
    environment = {"COURSE_SOURCE": "drawn", "COURSE_DATA": "", "COURSE_RUNS": str(home / "runs")}

    def run(path: Path, sources: list[str]) -> dict[str, float]:
        nb = new_notebook(cells=[first, *map(new_code_cell, sources)])
        records = home / f"records-{len(list(home.iterdir()))}"
        with rerun.environment(**environment):
            execute.run_cells(nb, path, "quick", records)
        return {id: record["value"] for id, record in claims.records(records).items()}

    return run


@pytest.mark.slow
@pytest.mark.parametrize("path", stored.chapters(), ids=lambda path: path.stem)
def test_a_slice_gives_the_chapters_own_value(judged, path):
    """To the digits of a record; the runs of the chapter are there for the slices to load."""
    nb = nbformat.read(path, as_version=4)
    ids, of = chosen(path, nb), slices.statements(nb)
    whole = judged(path, [cell.source for cell in code_cells(nb)])
    parts = ["\n".join(slices.as_cells(slices.backward(of, id))) for id in ids]
    # one kernel for all, and names of its own for each
    found = judged(path, [f"exec({part!r}, {{'__name__': '__main__'}})" for part in parts])
    assert {id: found[id] for id in ids} == {id: whole[id] for id in ids}

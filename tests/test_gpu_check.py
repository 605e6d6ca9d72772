"""The script for graphics cards runs where there is none, and says what it found."""

import json

import pytest
import torch

from course_tools import gpu_check


@pytest.mark.slow
def test_it_runs_on_the_processor_and_leaves_its_record(tmp_path, capsys):
    assert gpu_check.main([str(tmp_path), "--device", "cpu", "--small"]) == 0
    record = json.loads((tmp_path / "gpu_check.json").read_text())
    assert set(record["seconds"]) == {check.__name__ for check in gpu_check.CHECKS}
    assert record["device"].startswith("cpu") and record["versions"]["torch"] in torch.__version__
    promised = [row for row in record["rows"] if row["ok"] is not None]
    assert len(promised) >= 3 and all(row["ok"] for row in promised)
    assert "8 seeds of VAE, vmap" in capsys.readouterr().out


def test_a_check_that_fails_is_told_and_the_others_run(tmp_path, capsys, monkeypatch):
    def broken(check):
        raise RuntimeError("no such kernel")

    monkeypatch.setattr(gpu_check, "CHECKS", (broken, lambda check: check.add("fine", 1, ok=True)))
    assert gpu_check.main([str(tmp_path), "--device", "cpu", "--small"]) == 1
    rows = json.loads((tmp_path / "gpu_check.json").read_text())["rows"]
    assert [row["ok"] for row in rows] == [False, True]
    assert "no such kernel" in rows[0]["value"]


def test_seeds_by_vmap_are_the_seeds_one_by_one():
    """Without noise in the loss: the same weights, whether trained side by side or alone."""
    from course_utils import data, losses
    from course_utils.models import Autoencoder

    class Small(gpu_check.Check):
        def __init__(self):
            self.device, self.small, self.rows = torch.device("cpu"), True, []
            self.split = data.mnist(profile="quick").train.head(200)

    def objectives():
        torch.manual_seed(0)
        build = lambda: Autoencoder(widths=(16,), code_dim=3)  # noqa: E731
        return [losses.Objective(build(), losses.reconstruction) for _ in range(2)]

    together, alone = objectives(), objectives()
    _, loss = gpu_check.many_seeds(Small(), together, 50, graph=False)
    pixels, last = data.as_float(Small().split.x), []
    for i, objective in enumerate(alone):
        adam = torch.optim.Adam(objective.parameters(), lr=1e-3, fused=True)
        for epoch in range(3):
            made = torch.Generator().manual_seed(epoch)
            orders = [torch.randperm(200, generator=made) for _ in alone]
            for chosen in orders[i].split(50):
                terms = objective(pixels[chosen])
                adam.zero_grad()
                terms["loss"].backward()
                adam.step()
                if epoch == 2:
                    last.append(terms["loss"].item())
    assert loss == pytest.approx(sum(last) / len(last), rel=1e-4)

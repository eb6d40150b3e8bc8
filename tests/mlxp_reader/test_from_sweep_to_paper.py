"""The whole way as a user goes it: a real sweep on the command line, then seeds, a picture and a table."""

import subprocess
import sys

import pytest

import mlxp

PROGRAM = """
import math
import random

import mlxp


@mlxp.launch(config_path="configs")
def train(ctx):
    cfg = ctx.config
    chance = random.Random(cfg.seed)
    for epoch in range(cfg.epochs - (cfg.seed == 3)):
        loss = math.exp(-epoch * cfg.optimizer.lr) + chance.random() / 100
        ctx.logger.log_metrics({"loss": loss, "epoch": epoch}, log_name="train")
        if epoch % 2 == 0:
            ctx.logger.log_metrics({"acc": 1 - loss / 2, "epoch": epoch}, log_name="val")


if __name__ == "__main__":
    train()
"""

CONFIG = "seed: 0\nepochs: 6\nmodel: mlp\noptimizer:\n  lr: 0.1\nout: results/${model}-${seed}\n"


@pytest.fixture
def sweep(tmp_path):
    (tmp_path / "main.py").write_text(PROGRAM, encoding="utf-8")
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "config.yaml").write_text(CONFIG, encoding="utf-8")
    command = [sys.executable, "main.py", "optimizer.lr=0.1,1.0", "seed=1,2,3"]
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    return tmp_path


def test_from_a_sweep_to_a_figure_and_a_table(sweep):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    runs = mlxp.Reader(sweep / "logs").filter("info.status == 'COMPLETE'")
    assert repr(runs).startswith("6 runs · 3 keys vary (seed ×3, optimizer.lr ×2, out ×3) · 2 constant")
    assert len(runs.history("train.loss", "val.acc")) == 4 * 6 + 2 * 5

    with pytest.warns(UserWarning, match="out only follows seed"):
        groups = runs.over("seed")
    assert groups.aggregate("val.acc.last")["count"].tolist() == [3, 3]
    best = groups.best("val.acc.max", report="train.loss.last")
    assert best["config.optimizer.lr"].tolist() == [1.0]
    assert len(groups.runs(best.index[0])) == 3

    axes = runs.plot_metric("train.loss", hue="optimizer.lr", over="seed", band="ci95", logy=True, exclude="out")
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["0.1 (n=3→2)", "1 (n=3→2)"]

    table = runs.table(rows="optimizer.lr", value="val.acc.last", over="seed", best="max", exclude="out")
    assert r"\textbf{0.98" in table.to_latex(sweep / "tab.tex")
    matplotlib.pyplot.close("all")

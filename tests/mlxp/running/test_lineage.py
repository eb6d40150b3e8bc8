"""A run notes from which runs it has loaded something."""

import pytest

MAIN = """\
from pathlib import Path

import mlxp

@mlxp.launch(config_path="configs")
def task(ctx: mlxp.Context) -> None:
    ctx.logger.log_checkpoint({"epoch": 1}, "last_ckpt")
    ctx.logger.log_artifacts([1], "numbers.npy", "numpy")
    how = ctx.config.get("how")
    if how == "checkpoint":
        ctx.logger.load_checkpoint("last_ckpt", root="logs/1")
    elif how == "folder":
        ctx.logger.load_checkpoint("last_ckpt.pkl", root="logs/1/artifacts/pickle")
    elif how == "artifact":
        ctx.logger.load_artifacts("numbers.npy", "numpy", root="logs/1")
    elif how == "reader":
        runs = mlxp.Reader("logs").filter("log_id == 1")
        runs[0]["artifact.numpy."]["numbers.npy"].load()
    elif how == "link":
        Path("elsewhere").mkdir()
        Path("elsewhere/runs").symlink_to(Path("logs").absolute())
        ctx.logger.load_checkpoint("last_ckpt", root="elsewhere/runs/1")
        ctx.logger.load_checkpoint("last_ckpt", root="logs/1")
    elif how == "own":
        ctx.logger.load_checkpoint("last_ckpt")

if __name__ == "__main__":
    task()
"""


@pytest.mark.parametrize(
    ("how", "parents"),
    [
        ("checkpoint", ["../1"]),
        ("folder", ["../1"]),
        ("artifact", ["../1"]),
        ("reader", ["../1"]),
        ("link", ["../1"]),
        ("own", []),
        ("", []),
    ],
)
def test_run_notes_its_parents(app, how, parents):
    quickstart = app("quickstart")
    (quickstart.directory / "main.py").write_text(MAIN, encoding="utf-8")
    assert quickstart.run().returncode == 0
    result = quickstart.run(f"+how={how}")
    assert result.returncode == 0, result.stderr
    assert quickstart.info(2)["parents"] == parents

"""Write run directories in the exact format of MLXP 1.0.5, the same ones for the same seed.

Each run has 20 configuration keys on three levels, a checkpoint, and two metric files of three keys: ``train`` and
``test``, with ``loss``, ``epoch`` and ``acc``.

As a script: ``python synthetic_logs.py FOLDER --runs 1000 --records 100``.
"""

import argparse
import pickle
import random
from pathlib import Path

CONFIG = """\
seed: {seed}
num_epoch: {records}
name: run-{model}
note: null
model:
  name: {model}
  num_units: {units}
  dropout: {dropout}
  norm:
    kind: layer
    eps: 1.0e-05
    affine: true
data:
  name: cifar10
  batch_size: {batch}
  augment:
    flip: true
    crop: 4
    mean: 0.5
optimizer:
  name: sgd
  lr: {lr}
  schedule:
    kind: cosine
    warmup: 5
    gamma: 0.1
"""

INFO = """\
status: {status}
current_file_path: /home/me/proj/main.py
executable: /home/me/venv/bin/python
hostname: node{node}
process_id: {process}
start_date: 22/11/2026
start_time: '{time}'
end_date: 22/11/2026
end_time: '{time}'
work_dir: /home/me/proj
logger:
  log_id: {log_id}
  log_dir: /home/me/proj/logs/{log_id}
  metrics_dir: /home/me/proj/logs/{log_id}/metrics
  metadata_dir: /home/me/proj/logs/{log_id}/metadata
  artifacts_dir: /home/me/proj/logs/{log_id}/artifacts
scheduler: null
version_manager: null
"""

KEYS = "acc: ''\nepoch: ''\nloss: ''\n"
ARTIFACTS = "pickle:\n  ? ''\n  : last_ckpt: ''\n"
CHECKPOINT = pickle.dumps({"epoch": 1}, protocol=4)


def write_logs(folder: Path, runs: int, records: int, seed: int = 0) -> None:
    """Write `runs` run directories of `records` records per metric file into `folder`."""
    chance = random.Random(seed)
    curves = [_curve(chance, records) for _ in range(min(runs, max(16, 200_000 // records)))]
    for log_id in range(1, runs + 1):
        run = folder / str(log_id)
        for name in ("metadata", "metrics/.keys", "artifacts/.keys", "artifacts/pickle"):
            (run / name).mkdir(parents=True)
        values = _choices(chance, log_id, records)
        (run / "metadata/config.yaml").write_text(CONFIG.format_map(values))
        (run / "metadata/info.yaml").write_text(INFO.format_map(values))
        (run / "artifacts/.keys/artifacts.yaml").write_text(ARTIFACTS)
        (run / "artifacts/pickle/last_ckpt").write_bytes(CHECKPOINT)
        for name in ("train", "test"):
            (run / f"metrics/.keys/{name}.yaml").write_text(KEYS)
            # Any two runs may share a curve, but not all: random numbers cost more than writing them.
            (run / f"metrics/{name}.json").write_bytes(chance.choice(curves))


def _choices(chance: random.Random, log_id: int, records: int) -> dict[str, object]:
    return {
        "log_id": log_id,
        "records": records,
        "seed": chance.randrange(5),
        "model": chance.choice(["mlp", "cnn", "vit"]),
        "units": chance.choice([64, 128, 256]),
        "dropout": chance.choice(["null", "0.1", "0.5"]),
        "batch": chance.choice([32, 64]),
        "lr": chance.choice(["0.001", "0.01", "0.1", "1.0", "10.0"]),
        "status": chance.choice(["COMPLETE"] * 9 + ["FAILED"]),
        "node": chance.randrange(8),
        "process": chance.randrange(1000, 60000),
        "time": f"{chance.randrange(10, 24)}:{chance.randrange(10, 60)}:{chance.randrange(10, 60)}",
    }


def _curve(chance: random.Random, records: int) -> bytes:
    lines = [
        f'{{"loss": {chance.random() / (epoch + 1)!r}, "epoch": {epoch}, "acc": {chance.random()!r}}}\n'
        for epoch in range(records)
    ]
    return "".join(lines).encode()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--records", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    write_logs(options.folder, options.runs, options.records, options.seed)

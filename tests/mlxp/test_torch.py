"""What PyTorch makes is logged, saved, loaded and resumed; the group `torch` of pyproject.toml has the version."""

import json
from pathlib import Path

import pytest

import mlxp

torch = pytest.importorskip("torch", reason="without torch, NO tensor is tested")


@pytest.fixture
def logger(tmp_path):
    with mlxp.DefaultLogger(tmp_path / "logs") as logger:
        yield logger


def records(logger, log_name):
    file = Path(logger.metrics_dir, f"{log_name}.json")
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def trained(steps):
    """A model, its optimizer and its schedule, after some steps."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU(), torch.nn.Linear(2, 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=2)
    train(model, optimizer, schedule, range(steps))
    return model, optimizer, schedule


def train(model, optimizer, schedule, steps):
    for step in steps:
        optimizer.zero_grad()
        model(torch.full((4, 3), float(step))).square().mean().backward()
        optimizer.step()
        schedule.step()


@pytest.mark.parametrize(
    ("tensor", "value"),
    [
        (torch.tensor(1.5), 1.5),
        (torch.tensor(1.5, requires_grad=True), 1.5),
        (torch.tensor(0.1, dtype=torch.float64), 0.1),
        (torch.tensor(0.1), 0.10000000149011612),
        (torch.tensor(1.5, dtype=torch.bfloat16), 1.5),
        (torch.tensor(1.5, dtype=torch.float16), 1.5),
        (torch.tensor(2**60 + 1), 2**60 + 1),
        (torch.tensor(True), True),
        ([torch.tensor(1), torch.tensor(2.5)], [1, 2.5]),
    ],
)
def test_number_in_a_tensor_is_a_metric(logger, tensor, value):
    logger.log_metrics({"x": tensor}, "train")
    [record] = records(logger, "train")
    assert record == {"x": value}
    assert type(record["x"]) is type(value)


@pytest.mark.parametrize("tensor", [torch.ones(2), torch.ones(1), torch.tensor(1j)], ids=["two", "shape 1", "complex"])
def test_tensor_that_is_no_number_is_refused_as_a_whole(logger, tensor):
    with pytest.raises(TypeError, match="the metric 'x' is of type"):
        logger.log_metrics({"y": 1, "x": tensor}, "train")
    assert not Path(logger.metrics_dir, "train.json").exists()


@pytest.mark.parametrize(
    "artifact",
    [
        torch.arange(6.0).reshape(2, 3),
        torch.tensor([1, 2], dtype=torch.bfloat16),
        torch.tensor([], dtype=torch.int64),
        torch.eye(3).to_sparse(),
        torch.nn.Parameter(torch.ones(2)),
    ],
    ids=["matrix", "bfloat16", "empty", "sparse", "parameter"],
)
@pytest.mark.parametrize("artifact_type", ["torch", "pickle"])
def test_tensor_is_loaded_as_it_was_saved(logger, artifact, artifact_type):
    logger.log_artifacts(artifact, "tensor.pt", artifact_type)
    loaded = logger.load_artifacts("tensor.pt", artifact_type)
    for fact in ("__class__", "dtype", "requires_grad"):
        assert getattr(loaded, fact) == getattr(artifact, fact)
    assert torch.equal(loaded.to_dense(), artifact.to_dense())


def test_reader_loads_tensors(logger, tmp_path):
    logger.log_artifacts({"w": torch.ones(2)}, "weights/first.pt", "torch")
    runs = mlxp.Reader(tmp_path / "logs").filter()
    assert runs[0]["artifact.torch..weights"]["first.pt"].load()["w"].tolist() == [1, 1]


def test_array_type_takes_what_numpy_sees_in_a_tensor(logger):
    logger.log_artifacts(torch.arange(3), "x.npy", "numpy")
    assert logger.load_artifacts("x.npy", "numpy").tolist() == [0, 1, 2]


def test_training_goes_on_from_a_checkpoint_as_if_it_had_not_stopped(logger):
    parts = trained(3)
    state = {"epoch": 3, "parts": [part.state_dict() for part in parts], "rng": torch.get_rng_state()}
    logger.log_checkpoint(state, "last_ckpt")
    model, optimizer, schedule = trained(0)
    checkpoint = logger.load_checkpoint("last_ckpt")
    for part, saved in zip((model, optimizer, schedule), checkpoint["parts"], strict=True):
        part.load_state_dict(saved)
    train(model, optimizer, schedule, range(checkpoint["epoch"], 6))
    for weights, uninterrupted in zip(model.parameters(), trained(6)[0].parameters(), strict=True):
        assert torch.equal(weights, uninterrupted)
    assert torch.equal(checkpoint["rng"], state["rng"])


SCHEDULES = {
    "StepLR": {"step_size": 2},
    "LambdaLR": {"lr_lambda": lambda epoch: 0.9**epoch},
    "CosineAnnealingLR": {"T_max": 10},
    "OneCycleLR": {"max_lr": 0.1, "total_steps": 10},
    "ReduceLROnPlateau": {},
}


@pytest.mark.parametrize("optimizer", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "LBFGS"])
def test_dict_with_a_model_and_an_optimizer_is_a_checkpoint(logger, optimizer):
    model = torch.nn.Linear(3, 1)
    optimizer = getattr(torch.optim, optimizer)(model.parameters(), lr=0.1)

    def loss():
        value = model(torch.ones(2, 3)).sum()
        value.backward()
        return value

    optimizer.step(loss)
    logger.log_checkpoint({"model": model, "optimizer": optimizer, "epoch": 3}, "last_ckpt")
    loaded = logger.load_checkpoint("last_ckpt")
    assert loaded["epoch"] == 3
    assert type(loaded["optimizer"]) is type(optimizer)
    assert torch.equal(loaded["model"].weight, model.weight)
    [weights, _] = loaded["optimizer"].param_groups[0]["params"]
    assert weights is loaded["model"].weight


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedule_with_all_that_it_knows_is_a_checkpoint(logger, schedule):
    optimizer = torch.optim.SGD(torch.nn.Linear(3, 1).parameters(), lr=0.1, momentum=0.9)
    parts = {"schedule": getattr(torch.optim.lr_scheduler, schedule)(optimizer, **SCHEDULES[schedule])}
    logger.log_checkpoint({**parts, "optimizer": optimizer, "own": lambda x: x + 1})
    loaded = logger.load_checkpoint()
    assert loaded["schedule"].optimizer is loaded["optimizer"]
    assert type(loaded["schedule"]) is type(parts["schedule"])
    assert loaded["own"](1) == 2


def test_loader_of_data_goes_on_with_the_same_shuffle(logger):
    data = torch.utils.data.TensorDataset(torch.arange(20.0))
    loader = torch.utils.data.DataLoader(data, batch_size=4, shuffle=True, generator=torch.Generator().manual_seed(3))
    list(loader)
    logger.log_checkpoint({"loader": loader, "state": loader.generator.get_state(), "generator": loader.generator})
    loaded = logger.load_checkpoint()
    generator = torch.Generator()
    generator.set_state(loaded["state"])
    following = [batch.tolist() for [batch] in loader]
    assert [batch.tolist() for [batch] in loaded["loader"]] == following
    again = torch.utils.data.DataLoader(data, batch_size=4, shuffle=True, generator=generator)
    assert [batch.tolist() for [batch] in again] == following


@pytest.mark.parametrize("is_own", [False, True], ids=["of the library", "of the script"])
def test_model_optimizer_and_schedule_are_checkpointed_as_they_are(logger, is_own):
    class OwnModel(torch.nn.Linear):
        """A class that no other program can import."""

    model = OwnModel(2, 1) if is_own else torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1)
    logger.log_checkpoint({"model": model, "optimizer": optimizer, "schedule": schedule, "epoch": 3}, "last_ckpt")
    loaded = logger.load_checkpoint("last_ckpt")
    assert loaded["epoch"] == 3
    assert torch.equal(loaded["model"].weight, model.weight)
    # The optimizer that was loaded trains the model that was loaded.
    assert loaded["optimizer"].param_groups[0]["params"][0] is loaded["model"].weight
    assert loaded["schedule"].optimizer is loaded["optimizer"]

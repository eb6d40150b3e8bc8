"""Train a small neural network on scikit-learn's handwritten digits, epoch by epoch.

Every epoch logs loss and accuracy on the training, validation and test sets, and saves a checkpoint; a run that was
interrupted goes on from there:

    python main.py optimizer.lr=0.01,0.1 model.num_units=16,64 seed=1,2,3
    python main.py mlxp.logger.forced_log_id=1 num_epochs=40
"""

import random
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

import mlxp


def set_seeds(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - scikit-learn draws from the global generator


def load_data(config: mlxp.ConfigDict) -> dict[str, Any]:
    """Return images and digits by set; the split is the same for all seeds."""
    images, digits = load_digits(return_X_y=True)
    rest_x, test_x, rest_y, test_y = train_test_split(
        images / 16, digits, test_size=config.test_size, random_state=config.split
    )
    train_x, val_x, train_y, val_y = train_test_split(
        rest_x, rest_y, test_size=config.val_size, random_state=config.split
    )
    return {"train": (train_x, train_y), "val": (val_x, val_y), "test": (test_x, test_y)}


@mlxp.launch(config_path="./configs", seeding_function=set_seeds)
def train(ctx: mlxp.Context) -> float:
    config, logger = ctx.config, ctx.logger
    data = load_data(config.data)
    try:
        checkpoint = logger.load_checkpoint("last_ckpt")
        first_epoch, model = checkpoint["epoch"] + 1, checkpoint["model"]
    except FileNotFoundError:
        first_epoch = 0
        model = MLPClassifier(
            hidden_layer_sizes=[config.model.num_units] * config.model.num_layers,
            solver="sgd",
            learning_rate_init=config.optimizer.lr,
            momentum=config.optimizer.momentum,
            batch_size=config.optimizer.batch_size,
        )

    accuracy = 0.0
    for epoch in range(first_epoch, config.num_epochs):
        model.partial_fit(*data["train"], classes=range(10))
        for name, (x, y) in data.items():
            accuracy = float(model.score(x, y))
            loss = float(log_loss(y, model.predict_proba(x)))
            logger.log_metrics({"epoch": epoch, "loss": loss, "accuracy": accuracy}, log_name=name)
        logger.log_checkpoint({"epoch": epoch, "model": model}, "last_ckpt")
    return accuracy


if __name__ == "__main__":
    train()

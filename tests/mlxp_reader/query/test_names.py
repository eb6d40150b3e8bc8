"""A name means the same wherever a person types one: every verb by every kind of name."""

import contextlib
import io
import time
import warnings

import matplotlib as mpl
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from mlxp.commands.main import main
from mlxp.errors import InvalidKeyError, MLXPError
from mlxp_reader.query import STATISTICS
from mlxp_reader.query.names import resolve

mpl.use("agg")

CURVES = [[0.5, 0.75], [0.25, 0.5], [0.125, 1.0], [0.0, 0.25]]


@pytest.fixture
def runs(log_runs):
    return log_runs(
        *(
            (
                {"lr": lr, "seed": seed, "depth": 3, "clash": {"loss": {"last": 7}}},
                {"test": [{"acc": value} for value in curve], "clash": [{"loss": 1.0}]},
                status,
            )
            for (lr, seed, status), curve in zip(
                [(0.1, 1, "COMPLETE"), (0.1, 2, "FAILED"), (1.0, 1, "COMPLETE"), (1.0, 2, "FAILED")],
                CURVES,
                strict=True,
            )
        )
    )


@pytest.fixture
def cli(runs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*words):
        told, errors = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(told), contextlib.redirect_stderr(errors):
            code = main(list(words))
        if code:
            raise MLXPError(errors.getvalue())
        return told.getvalue()

    return run


def number_of_groups(runs, name):
    return len(runs.groupby(name))


# Each verb, as a function of the runs, the command line and a name.
VALUES = {
    "filter": lambda runs, cli, name: len(runs.filter(f"{name} is not None")),
    "sort": lambda runs, cli, name: len(runs.sort(name)),
    "to_table": lambda runs, cli, name: runs.to_table([name]),
    "runs[0]": lambda runs, cli, name: runs[0][name],
    "a map": lambda runs, cli, name: runs.map((str, name)),
    "-c": lambda runs, cli, name: cli("table", "-c", name),
    "--sort": lambda runs, cli, name: cli("table", "--sort", name),
}
NUMBERS = {
    "table value": lambda runs, cli, name: runs.table(rows="lr", value=name, over="seed"),
    "plot_sweep": lambda runs, cli, name: runs.plot_sweep("lr", name, over="seed"),
    "plot_parallel": lambda runs, cli, name: runs.plot_parallel(name),
    "aggregate": lambda runs, cli, name: runs.over("seed").aggregate(name),
    "best": lambda runs, cli, name: runs.over("seed").best(name, direction="max"),
}
KEYS = {
    "groupby": lambda runs, cli, name: number_of_groups(runs, name),
    "groupby of several": lambda runs, cli, name: number_of_groups(runs, [name]),
    "bygroups": lambda runs, cli, name: runs.filter((lambda lr: [True] * len(lr), "lr"), bygroups=name),
    "over": lambda runs, cli, name: runs.over(name),
    "table rows": lambda runs, cli, name: runs.table(rows=name, value="test.acc.last", over=["seed", "lr", "status"]),
    "table columns": lambda runs, cli, name: runs.table("depth", name, "test.acc.last", over=["seed", "lr", "status"]),
    "hue": lambda runs, cli, name: runs.plot_metric("test.acc", hue=name),
    "style": lambda runs, cli, name: runs.plot_metric("test.acc", style=name),
    "col": lambda runs, cli, name: runs.plot_metric("test.acc", col=name),
    "plot over": lambda runs, cli, name: runs.plot_metric("test.acc", over=name),
    "sweep keys": lambda runs, cli, name: runs.plot_sweep(name, "test.acc.last", over=["seed", "lr", "status"]),
    "--hue": lambda runs, cli, name: cli("plot", "test.acc", "-o", "a.png", "--hue", name),
    "--style": lambda runs, cli, name: cli("plot", "test.acc", "-o", "a.png", "--style", name),
    "--col": lambda runs, cli, name: cli("plot", "test.acc", "-o", "a.png", "--col", name),
    "--over": lambda runs, cli, name: cli("plot", "test.acc", "-o", "a.png", "--over", name),
}
CURVES_OF = {
    "history": lambda runs, cli, name: runs.history(name),
    "plot_metric": lambda runs, cli, name: runs.plot_metric(name),
    "plot": lambda runs, cli, name: cli("plot", name, "-o", "a.png"),
}
STATISTICS_OF = {"with_stats": lambda runs, cli, name: runs.with_stats(name)}
METRIC_TOO = {"sort", "to_table", "runs[0]", "a map", "aggregate", *CURVES_OF}  # these take a metric itself
VERBS = VALUES | NUMBERS | KEYS | CURVES_OF | STATISTICS_OF


@pytest.fixture
def ask(runs, cli):
    """A function that puts a name where a verb takes one; what is told about the runs beside does not matter here."""

    def asked(verb, name):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            return VERBS[verb](runs, cli, name)

    yield asked
    plt.close("all")


@pytest.mark.parametrize("verb", [*VALUES, *KEYS])
@pytest.mark.parametrize("name", ["lr", "config.lr", "seed", "config.seed", "status", "info.status", "log_id"])
def test_a_key_has_its_short_and_its_full_name_everywhere(verb, name, ask):
    ask(verb, name)


@pytest.mark.parametrize("verb", NUMBERS)
@pytest.mark.parametrize("name", ["seed", "config.seed", "log_id", "info.logger.log_id"])
def test_numbers_of_the_configuration_have_both_names_too(verb, name, ask):
    ask(verb, name)


@pytest.mark.parametrize("verb", [*VALUES, *NUMBERS, *STATISTICS_OF])
@pytest.mark.parametrize("statistic", STATISTICS)
def test_every_statistic_of_a_metric_is_a_value(verb, statistic, ask):
    ask(verb, f"test.acc.{statistic}")


@pytest.mark.parametrize("verb", sorted(METRIC_TOO))
def test_a_metric_is_taken_where_curves_make_sense(verb, ask):
    ask(verb, "test.acc")


@pytest.mark.parametrize("verb", sorted(VERBS.keys() - METRIC_TOO))
def test_elsewhere_a_metric_is_answered_by_what_it_is(verb, ask):
    with pytest.raises(MLXPError, match=r"'test.acc' (has one value per record|is a metric)"):
        ask(verb, "test.acc")


@pytest.mark.parametrize("verb", [*KEYS, *CURVES_OF])
def test_a_statistic_is_no_key_and_no_curve(verb, ask):
    with pytest.raises(MLXPError, match=r"'test.acc.last' is (a statistic, not a key|one value per run, not a metric)"):
        ask(verb, "test.acc.last")


@pytest.mark.parametrize("verb", [*CURVES_OF, *STATISTICS_OF])
def test_a_key_is_no_curve(verb, ask):
    with pytest.raises(MLXPError, match=r"'config.lr' has one value per run"):
        ask(verb, "config.lr")


@pytest.mark.parametrize("verb", [*VALUES, *NUMBERS])
def test_a_name_with_two_meanings_is_refused(verb, ask):
    with pytest.raises(
        MLXPError, match=r"'clash.loss.last' is ambiguous: .*'config.clash.loss.last' or 'clash.loss.last'"
    ):
        ask(verb, "clash.loss.last")


@pytest.mark.parametrize("verb", [*KEYS, *STATISTICS_OF])
def test_a_meaning_that_is_not_wanted_makes_no_name_ambiguous(verb, ask):
    ask(verb, "clash.loss.last")


@pytest.mark.parametrize("verb", VERBS)
def test_an_unknown_name_is_answered_by_the_nearest_ones(verb, ask):
    name, meant = {
        **dict.fromkeys([*VALUES, *KEYS], ("sede", "config.seed")),
        **dict.fromkeys([*NUMBERS, *STATISTICS_OF], ("test.acx.last", "test.acc.last")),
        **dict.fromkeys(CURVES_OF, ("test.acx", "test.acc")),
    }[verb]
    with pytest.raises(MLXPError, match=rf"there is no \w+ '{name}'; did you mean .*{meant}"):
        ask(verb, name)


def test_the_values_are_those_of_what_is_named(runs):
    assert runs[1]["seed"] == runs[1]["config.seed"] == 2
    assert runs[1]["status"] == "FAILED"
    assert runs[1]["log_id"] == 2
    assert runs[1]["test.acc.last"] == 0.5
    assert runs.sort("test.acc.last", ascending=False)["config.seed"].tolist() == [1, 1, 2, 2]
    assert runs.sort(["status", "lr"], ascending=[False, False])["info.logger.log_id"].tolist() == [4, 2, 3, 1]
    assert list(runs.sort("test.acc.last").columns) == list(runs.columns)
    assert {key: len(group) for key, group in runs.groupby("status").items()} == {("COMPLETE",): 2, ("FAILED",): 2}
    assert runs.groupby(["lr", "status"]).group_keys == ["config.lr", "info.status"]
    assert runs.over("status").over == ["info.status"]
    assert runs.to_table(["status", "seed"], tablefmt="tsv").splitlines()[2].split() == ["FAILED", "2"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("seed", "there is no column 'seed'; write its full name, 'config.seed'"),
        ("status", "there is no column 'status'; write its full name, 'info.status'"),
        ("test.acc.last", r"write df\['test.acc'\].metric.last\(\), or add it by with_stats\('test.acc.last'\)"),
        ("config.sede", "there is no column 'config.sede'; did you mean config.seed"),
        ("clash.loss.last", "ambiguous"),
        ("zzz", "there is no column 'zzz'; there are config.lr"),
    ],
)
def test_a_column_that_pandas_does_not_find_is_answered_by_what_to_write(runs, name, message):
    for asked in (name, ["config.lr", name]):
        with pytest.raises(InvalidKeyError, match=message):
            runs[asked]
    assert runs.get(name, "none") == "none"


def test_what_is_no_frame_of_runs_gives_the_answers_of_pandas():
    from mlxp_reader import DataFrame

    with pytest.raises(KeyError) as raised:
        DataFrame({"a": [1]})["b"]
    assert type(raised.value) is KeyError
    frame = DataFrame({"config.a": [1]})
    with pytest.raises(KeyError):
        frame[pd.Timestamp("2026-01-01")]


def test_a_column_has_its_own_name_first():
    fields = {"score": "value", "config.score": "value", "loss": "metric", "config.loss": "value"}
    assert resolve("score", fields) == "score"
    assert resolve("loss", fields) == "config.loss"
    assert resolve("loss", fields, wants="metric") == "loss"
    assert resolve("loss.std", fields) == "loss.std"


def test_short_names_give_way_to_keys_of_the_configuration():
    assert resolve("status", ["config.status", "info.status"]) == "config.status"
    assert resolve("log_id", ["config.log_id", "info.logger.log_id"], wants="key") == "config.log_id"


def test_there_is_no_statistic_of_that_name():
    with pytest.raises(
        InvalidKeyError,
        match=r"there is no statistic 'lst' of test.acc; there are last, first, .* argmax, .* and falls_to",
    ):
        resolve("test.acc.lst", ["test.acc"])


def test_an_unknown_name_among_very_many_is_answered_at_once():
    fields = [f"config.key_{k}" for k in range(2000)] + [f"train.metric_{k}" for k in range(2000)]
    started = time.process_time()
    with pytest.raises(InvalidKeyError, match=r"did you mean train.metric_"):
        resolve("train.metrik_7.min", fields)
    with pytest.raises(InvalidKeyError, match=r"reader.searchable"):
        resolve("something else", fields)
    assert time.process_time() - started < 3

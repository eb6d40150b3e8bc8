"""Questions in SQL: names mean what they mean in queries, and only what is named is read."""

import json

import pytest

from mlxp.commands.main import main
from mlxp.errors import InvalidKeyError
from mlxp_reader import Reader

pytest.importorskip("duckdb")


@pytest.fixture
def three(write_run, logs):
    """Three runs, the last one of which has no metrics."""
    for log_id, (name, last) in enumerate([("mlp", 0.5), ("mlp", 0.7), ("cnn", 0.9)], start=1):
        metrics = {"test": [{"acc": 0.1, "step": 0}, {"acc": last, "step": 5}]} if log_id < 3 else {}
        write_run(
            log_id,
            {"model": {"name": name}, "depth": 1 + (log_id == 3), "step": 0, "size": "it's, 'model.name'"},
            metrics=metrics,
        )
    return Reader(logs).filter()


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("select model.name, avg(test.acc.last) from runs group by 1 order by 1", [("cnn", None), ("mlp", 0.6)]),
        ("select r.model.name, r.test.acc.max from runs r where log_id = 2", [("mlp", 0.7)]),
        ('select runs."config.model.name" from runs where runs.test.acc.last > 0.6', [("mlp",)]),
        ("select 'model.name' from runs where log_id = 1 -- and model.nothing", [("model.name",)]),
        (
            "select log_id, step, test.acc from metrics order by all",
            [(1, 0, 0.1), (1, 5, 0.5), (2, 0, 0.1), (2, 5, 0.7)],
        ),
        ("select max(test.acc) from metrics join runs using (log_id) where model.name = 'mlp'", [(0.7,)]),
        ("select count(*) from metrics", [(4,)]),
        ("select depth, count(*) from runs where status = 'COMPLETE' group by depth order by depth", [(1, 2), (2, 1)]),
        ("select r.depth from runs r where R.LOG_ID = 3", [(2,)]),
        ("select model.name as depth, count(*) from runs group by depth order by depth", [("cnn", 1), ("mlp", 2)]),
        ("with depth as (select 7 as x) select x from depth", [(7,)]),
        ("select max(step) from metrics join runs using (log_id)", [(5,)]),
        (
            "with best as (select log_id, max(test.acc) as m from metrics group by 1) select sum(best.m) from best",
            [(1.2,)],
        ),
    ],
)
def test_names_mean_what_they_mean_in_queries(three, question, answer):
    found = [
        tuple(round(one, 6) if isinstance(one, float) else one for one in row) for row in three.sql(question).fetchall()
    ]
    assert found == answer


def test_only_the_metrics_that_are_named_are_read(three):
    three.sql("select model.name from runs")
    assert not three["test.acc"][0].is_loaded
    three.sql("select test.acc from metrics")
    assert three["test.acc"][0].is_loaded


def test_a_frame_answers_for_its_own_runs(three):
    assert three[1:2].sql("select log_id from runs").fetchall() == [(2,)]


def test_a_name_of_two_meanings_is_told(write_run, logs):
    write_run(1, {"a": {"b": {"last": 1}}}, metrics={"a": [{"b": 2}]})
    with pytest.raises(InvalidKeyError, match="ambiguous"):
        Reader(logs).filter().sql("select a.b.last from runs")


def test_the_command_prints_the_answer(three, logs, capsys):
    question = "select model.name, count(*) as n from runs group by 1 order by 1"
    assert main(["sql", question, "--logs", str(logs), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [
        {"config.model.name": "cnn", "n": 1},
        {"config.model.name": "mlp", "n": 2},
    ]
    assert main(["sql", question, "--logs", str(logs)]) == 0
    assert capsys.readouterr().out.splitlines()[2].split() == ["cnn", "1"]


def test_a_wrong_question_is_told_in_words_of_duckdb(three, logs, capsys):
    assert main(["sql", "select nothing from runs", "--logs", str(logs)]) == 1
    assert "mlxp: DuckDB: Binder Error" in capsys.readouterr().err

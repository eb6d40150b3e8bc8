"""What other libraries make of a frame of runs, and code that knows nothing of MLXP of a plain one."""

import copy
import json
import pickle
import sqlite3
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import yaml
from matplotlib.figure import Figure
from omegaconf import OmegaConf

from mlxp_reader import Reader


@pytest.fixture
def runs(logs, write_run):
    """Three runs with values of every kind, some of them missing."""
    configs = [
        {"lr": "auto", "layers": [64, 32], "n": 1, "b": True, "x": 1.5, "s": "a", "d": {}},
        {"lr": 0.1, "layers": [64], "x": float("nan"), "s": "1"},
        {"lr": 1, "layers": [1, 2, 3], "n": 3, "b": False, "x": None},
    ]
    for log_id, config in enumerate(configs, start=1):
        metrics = {"train": [{"loss": 1.5}, {"loss": 0.5 * log_id}]}
        write_run(log_id, config, metrics=metrics, artifacts={"pickle": {"": ["model.pkl"]}})
    return Reader(logs).filter()


@pytest.fixture
def plain(runs):
    return runs.toPandas(lazy=False)


def test_a_plain_frame_has_the_types_of_pandas(runs, plain):
    assert type(plain) is pd.DataFrame
    assert plain["config.n"].dtype == plain["config.x"].dtype == np.float64
    assert plain["config.b"].tolist()[::2] == [True, False]
    assert str(plain["config.b"][1]) == str(plain["config.n"][1]) == "nan"
    assert plain["config.lr"].tolist() == ["auto", 0.1, 1]
    assert {str(dtype) for dtype in plain.dtypes} <= {"object", "str", "float64", "int64", "bool"}
    assert plain.index.equals(runs.index)
    assert plain.columns.equals(runs.columns)


@pytest.mark.filterwarnings("ignore:'str' is not supported")  # by pandas 4, of its own numbers
def test_what_scripts_of_mlxp_1_do_with_a_plain_frame_works(plain):
    assert plain["config.n"].fillna("").tolist() == [1.0, "", 3.0]
    assert sorted(plain["config.n"].dropna()) == [1.0, 3.0]
    assert not plain["config.n"].iloc[1] > 2
    assert [v for v in plain["config.b"] if str(v) != "nan"] == [True, False]


def test_integers_that_a_float_would_round_stay(logs, write_run):
    big = 2**53 + 1
    write_run(1, {"n": big})
    write_run(2)
    column = Reader(logs).filter(result_format="pandas")["config.n"]
    assert column[0] == big
    assert str(column[1]) == "nan"


def test_lists_and_dicts_are_plain_and_ones_own(runs, plain):
    layers = plain["config.layers"][0]
    assert type(layers) is list
    layers.append(16)
    assert runs["config.layers"][0] == [64, 32]
    assert type(plain["config.d"][0]) is dict
    for value in (plain["config.layers"][1], runs[1]["config.layers"], copy.deepcopy(runs["config.layers"][1])):
        assert type(value) is list
        assert yaml.safe_load(yaml.safe_dump({"a": value})) == {"a": [64]}
        assert OmegaConf.create({"a": value}).a == [64]
        copy.deepcopy(value).append(1)


def test_a_list_of_a_lazy_frame_is_a_list_to_yaml(runs):
    assert yaml.safe_dump(runs["config.layers"][1]) == yaml.dump([64])
    assert yaml.dump(runs["config.layers"][1]) == yaml.dump([64])


def test_artifacts_are_paths(plain, logs):
    assert plain["artifact.pickle."][0] == {"model.pkl": str(logs / "1/artifacts/pickle/model.pkl")}


def test_a_plain_frame_is_pickled_for_who_has_no_mlxp(plain, tmp_path):
    (tmp_path / "plain.pkl").write_bytes(pickle.dumps(plain))
    assert in_a_process_without_mlxp("pd.read_pickle('plain.pkl')['config.layers'].tolist()", tmp_path) == repr(
        [[64, 32], [64], [1, 2, 3]]
    )


def in_a_process_without_mlxp(expression, folder):
    program = (
        f"import sys\nsys.modules['mlxp'] = sys.modules['mlxp_reader'] = None\nimport pandas as pd\nprint({expression})"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_parquet_is_read_without_mlxp(runs, tmp_path):
    runs.to_parquet(tmp_path / "runs.parquet")
    told = in_a_process_without_mlxp("pd.read_parquet('runs.parquet').map(str).to_json()", tmp_path)
    found = json.loads(told)
    assert list(found["config.lr"].values()) == ["auto", "0.1", "1"]
    assert list(found["config.layers"].values()) == ["[64 32]", "[64]", "[1 2 3]"]
    assert list(found["train.loss"].values()) == ["[1.5 0.5]", "[1.5 1. ]", "[1.5 1.5]"]
    assert list(found["config.s"].values())[:2] == ["a", "1"]


def test_parquet_gives_the_same_frame_with_mlxp(runs, tmp_path):
    runs.to_parquet(tmp_path / "runs.parquet")
    back = pd.read_parquet(tmp_path / "runs.parquet")
    assert back.dtypes.equals(runs.dtypes)
    assert back.equals(pd.DataFrame(runs))


@pytest.mark.parametrize("value", ["1", "null", "[1]", '"a"', "NaN", "{", '{"a": 1, "b": 2}', "", "tru", "\ud800"])
def test_a_text_beside_numbers_is_that_text_again(logs, write_run, tmp_path, value):
    if value == "\ud800":
        value = value.encode("unicode_escape").decode()
    write_run(1, {"x": value})
    write_run(2, {"x": 1})
    Reader(logs).filter().to_parquet(tmp_path / "runs.parquet", index=False)
    assert pd.read_parquet(tmp_path / "runs.parquet")["config.x"].tolist() == [value, 1]


def test_parquet_takes_what_pandas_takes(runs, tmp_path):
    assert pd.read_parquet(__import__("io").BytesIO(runs.to_parquet())).equals(pd.DataFrame(runs))
    runs.to_parquet(tmp_path / "plain.parquet", compression=None, engine="pyarrow")
    assert len(pd.read_parquet(tmp_path / "plain.parquet")) == 3


def test_a_database_and_a_sheet_hold_numbers_texts_and_json(runs):
    with sqlite3.connect(":memory:") as database:
        runs.to_sql("runs", database)
        query = 'select "config.lr", "config.n", "config.layers", "train.loss" from runs'
        assert database.execute(query).fetchone() == ("auto", 1.0, "[64, 32]", "[1.5, 0.5]")


def test_excel(runs, tmp_path):
    pytest.importorskip("openpyxl", reason="without openpyxl, sheets are NOT tested")
    runs.to_excel(tmp_path / "runs.xlsx", index=False)
    back = pd.read_excel(tmp_path / "runs.xlsx")
    assert back["config.layers"].tolist() == ["[64, 32]", "[64]", "[1, 2, 3]"]
    assert back["config.lr"].tolist() == ["auto", 0.1, 1]


def test_duckdb(plain, runs, tmp_path):
    duckdb = pytest.importorskip("duckdb", reason="without DuckDB, it is NOT tested")
    found = duckdb.sql('select "config.n", "config.layers", "train.loss" from plain').fetchall()
    assert found[0] == (1.0, [64, 32], [1.5, 0.5])
    runs.to_parquet(tmp_path / "runs.parquet")
    assert duckdb.sql(f"select \"config.lr\" from '{tmp_path}/runs.parquet'").fetchall() == [
        ("auto",),
        ("0.1",),
        ("1",),
    ]


def test_polars(runs):
    polars = pytest.importorskip("polars", reason="without Polars, it is NOT tested")
    found = polars.from_pandas(runs)
    assert found["config.layers"].to_list() == [[64, 32], [64], [1, 2, 3]]
    assert found["train.loss"].to_list() == [[1.5, 0.5], [1.5, 1.0], [1.5, 1.5]]
    assert found["config.n"].to_list() == [1, None, 3]


def test_narwhals(runs, plain):
    narwhals = pytest.importorskip("narwhals", reason="without narwhals, it is NOT tested")
    for frame in (runs, plain):
        found = narwhals.from_native(frame).filter(narwhals.col("info.logger.log_id") > 1).to_native()
        assert [list(cell) for cell in found["train.loss"]] == [[1.5, 1.0], [1.5, 1.5]]


def test_altair_and_plotly(runs):
    altair = pytest.importorskip("altair", reason="without Altair, it is NOT tested")
    plotly = pytest.importorskip("plotly.express", reason="without plotly, it is NOT tested")
    curves = runs.history("train.loss")
    chart = altair.Chart(curves).mark_line().encode(x="step", y=r"train\.loss", color="log_id:N").to_dict()
    [rows] = chart["datasets"].values()
    assert [row["train.loss"] for row in rows] == [1.5, 0.5, 1.5, 1.0, 1.5, 1.5]
    figure = plotly.line(curves, x="step", y="train.loss", color="log_id")
    assert [list(trace.y) for trace in figure.data] == [[1.5, 0.5], [1.5, 1.0], [1.5, 1.5]]


@pytest.mark.parametrize(
    ("library", "give", "told"),
    [
        ("duckdb", lambda duckdb, frame: duckdb.from_df(frame).fetchall(), "Data type 'm(etric|ixed)' not recognized"),
        ("altair", lambda altair, frame: altair.Chart(frame).mark_point().to_json(), "is not JSON serializable"),
        ("great_tables", lambda tables, frame: tables.GT(frame).as_raw_html(), "truth value of an array"),
    ],
)
def test_the_page_tells_how_a_library_refuses_metrics_and_what_to_write(runs, library, give, told):
    module = pytest.importorskip(library, reason=f"without {library}, it is NOT tested")
    with pytest.raises(Exception, match=told):
        give(module, runs)
    assert give(module, runs.with_stats("train.loss.last")[["config.n", "train.loss.last"]])


def test_seaborn(runs):
    seaborn = pytest.importorskip("seaborn", reason="without seaborn, it is NOT tested")
    axes = Figure().subplots()
    seaborn.lineplot(runs.history("train.loss"), x="step", y="train.loss", hue="log_id", legend=False, ax=axes)
    assert sorted(line.get_ydata().tolist() for line in axes.lines) == [[1.5, 0.5], [1.5, 1.0], [1.5, 1.5]]


def test_scikit_learn_and_great_tables(runs):
    tables = pytest.importorskip("great_tables", reason="without great_tables, it is NOT tested")
    trees = pytest.importorskip("sklearn.tree", reason="without scikit-learn, it is NOT tested")
    numbers = runs.with_stats("train.loss.last")[["info.logger.log_id", "train.loss.last"]]
    model = trees.DecisionTreeRegressor().fit(numbers[["info.logger.log_id"]], numbers["train.loss.last"])
    assert model.predict(numbers[["info.logger.log_id"]]).tolist() == [0.5, 1.0, 1.5]
    assert "1.5" in tables.GT(numbers).as_raw_html()


def test_histories_and_aggregates_have_types_that_pandas_knows(runs):
    history = runs.history("train.loss")
    over = runs.over("s", exclude=["lr", "layers", "n", "b", "x", "d"])
    groups, curves = over.aggregate("train.loss.last", ["mean", "count"]), over.aggregate("train.loss", ["mean"])
    for frame in (history, groups, curves):
        assert {str(dtype) for dtype in frame.dtypes} <= {"object", "str", "float64", "int64", "bool"}
    assert history["config.lr"].tolist() == ["auto", "auto", 0.1, 0.1, 1, 1]
    assert history.groupby("config.layers", sort=False)["train.loss"].mean().tolist() == [1.0, 1.25, 1.5]

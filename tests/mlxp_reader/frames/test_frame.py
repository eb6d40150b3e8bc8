import numpy as np
import pandas as pd
import pytest

from mlxp.errors import InvalidKeyError, InvalidMapError
from mlxp_reader.columns.metric_array import MetricArray
from mlxp_reader.columns.metric_values import MetricColumn, MetricValues
from mlxp_reader.frames.frame import DataFrame, Run
from mlxp_reader.frames.groups import GroupedDataFrame


def mean(curves):
    return np.mean(np.array(curves), axis=0)


@pytest.fixture
def runs():
    return DataFrame(
        {
            "config.lr": [0.1, 1.0, 0.1, 1.0],
            "config.model": ["mlp", "mlp", "cnn", "cnn"],
            "config.seed": [1, 1, 2, 2],
            "config.same": [0, 0, 0, 0],
            "info.status": ["COMPLETE"] * 4,
            "train.loss": MetricArray.of([[3.0, 1.0], [4.0, 2.0], [5.0, 0.5], [6.0, 2.5]]),
        }
    )


def test_a_number_gives_a_run(runs):
    assert isinstance(runs[0], Run)
    assert runs[-1]["config.seed"] == 2
    assert type(runs[0]["config.seed"]) is int


def test_a_run_shows_the_metric_when_it_is_asked_for(runs):
    assert runs[0]["train.loss"] == [3.0, 1.0]
    assert dict(runs[0])["config.model"] == "mlp"


def test_a_run_without_a_column_says_so(runs):
    with pytest.raises(InvalidKeyError, match=r"did you mean train.loss"):
        runs[0]["train.lsos"]


def test_a_number_out_of_range_is_a_key_error(runs):
    with pytest.raises(KeyError):
        runs[4]


def test_a_slice_gives_rows(runs):
    assert runs[1:3]["config.seed"].tolist() == [1, 2]


def test_a_frame_with_numbers_for_columns_is_left_to_pandas():
    assert DataFrame({0: [1, 2], 1: [3, 4]})[0].tolist() == [1, 2]


def test_diff_lists_the_configuration_that_varies(runs):
    assert runs.diff() == ["config.lr", "config.model", "config.seed"]
    assert runs.diff("info") == []


def test_diff_lists_what_some_runs_lack(runs):
    assert "config.new" in runs.assign(**{"config.new": [1, 1, 1, np.nan]}).diff()


def test_diff_of_numbers_is_that_of_pandas(runs):
    assert runs[["config.seed"]].diff(1)["config.seed"].tolist()[1:] == [0, 1, 0]


def test_aggregate_makes_one_row_of_a_map(runs):
    made = runs.aggregate((mean, ("train.loss",)))
    assert list(made.columns) == ["fmean.train.loss"]
    assert made[0]["fmean.train.loss"].tolist() == [4.5, 1.5]


def test_several_maps_with_names(runs):
    made = runs.aggregate([(max, ("config.seed", "config.lr"), ("s", "l")), (min, "config.seed")])
    assert dict(made[0]) == {"s": 2, "l": 1.0, "fmin.config.seed": 1}


def test_aggregate_of_pandas_still_works(runs):
    assert runs[["config.seed"]].aggregate(["min", "max"])["config.seed"].tolist() == [1, 2]
    assert runs["config.seed"].agg("sum") == 6


def test_transform_keeps_the_rows(runs):
    made = runs.transform((lambda seeds: [seed * 2 for seed in seeds], "config.seed", "double"))
    assert made["double"].tolist() == [2, 2, 4, 4]


def test_a_transformation_that_reduces_is_an_error(runs):
    with pytest.raises(InvalidMapError, match="one value per row"):
        runs.transform((sum, "config.seed"))


def test_map_takes_one_value_at_a_time(runs):
    assert runs.map((min, "train.loss"))["fmin.train.loss"].tolist() == [1.0, 2.0, 0.5, 2.5]


@pytest.mark.parametrize(
    ("map_type", "given", "expected"),
    [
        ("Generic", (lambda a, b: [x + y for x, y in zip(a, b, strict=True)], ("config.seed", "config.lr"), "s"), 1.1),
        ("Generic", (lambda a, b: sum(a) + sum(b), ("config.seed", "config.lr"), "s"), 8.2),
        ("Columnwise", (sum, "config.seed", "s"), 6),
        ("Rowwise", (lambda a, b: a + b, ("config.seed", "config.lr"), "s"), 1.1),
        ("Pointwise", (str, "config.seed", "s"), "1"),
    ],
)
def test_apply_takes_each_type_of_map(runs, map_type, given, expected):
    assert runs.apply(given, map_type=map_type)["s"].iloc[0] == pytest.approx(expected)


def test_the_name_of_a_map_of_several_columns_joins_theirs(runs):
    def total(seed, lr):
        return seed + lr

    assert list(runs.apply((total, ("config.seed", "config.lr")), "Rowwise").columns) == [
        "ftotal.config.seed_config.lr"
    ]


def test_an_unknown_map_type_is_an_error(runs):
    with pytest.raises(InvalidMapError, match="Generic, Columnwise, Rowwise, Pointwise"):
        runs.apply((sum, "config.seed"), map_type="rowwise")


def test_filter_keeps_what_a_map_says(runs):
    kept = runs.filter((lambda curves: [curve[-1] < 2 for curve in curves], "train.loss"))
    assert kept["train.loss"].metric.last().tolist() == [1.0, 0.5]


def test_filter_by_groups_asks_each_group(runs):
    def best(curves):
        last = [curve[-1] for curve in curves]
        return [value == min(last) for value in last]

    kept = runs.filter((best, "train.loss"), bygroups="config.lr")
    assert sorted(kept["train.loss"].metric.last()) == [0.5, 2.0]


def test_filter_of_pandas_still_works(runs):
    assert list(runs.filter(like="config.s").columns) == ["config.seed", "config.same"]
    assert list(runs.filter(["config.lr"]).columns) == ["config.lr"]


@pytest.mark.parametrize("given", [(lambda _: True, "config.seed"), [(list, "config.seed"), (list, "config.lr")]])
def test_a_filter_that_does_not_say_which_rows_is_an_error(runs, given):
    with pytest.raises(InvalidMapError, match="a filter"):
        runs.filter(given)


def test_a_map_of_a_column_that_does_not_exist_is_an_error(runs):
    with pytest.raises(InvalidKeyError, match=r"did you mean train.loss"):
        runs.aggregate((mean, "train.lsos"))


@pytest.mark.parametrize("given", [(max, ("config.seed", "config.lr"), ("one",)), (max, "config.seed", 3)])
def test_names_that_do_not_fit_are_an_error(runs, given):
    with pytest.raises(InvalidMapError):
        runs.aggregate(given)


def test_sort_is_by_columns_and_also_by_metrics(runs):
    assert runs.sort("config.lr")["config.lr"].tolist() == [0.1, 0.1, 1.0, 1.0]
    assert runs.sort(["train.loss"], ascending=False)["config.seed"].tolist() == [2, 2, 1, 1]


def test_merge_binds_frames_without_common_columns_row_by_row(runs):
    last = DataFrame({"last": [1, 2, 3, 4]}, index=range(10, 14))
    assert runs.merge(last)["last"].tolist() == [1, 2, 3, 4]


def test_merge_binds_rows_of_the_same_label_wherever_they_stand(runs):
    made = runs.groupby("config.lr").transform((list, "config.seed", "copy"), ungroup=True)[["copy"]]
    assert runs.merge(made)["copy"].tolist() == runs["config.seed"].tolist()
    assert list(runs.merge(made).columns) == [*runs.columns, "copy"]
    mirrored = DataFrame({"place": [3, 2, 1, 0]}, index=[3, 2, 1, 0])
    assert runs.merge(mirrored)["place"].tolist() == [0, 1, 2, 3]
    twice = runs.set_axis([0, 0, 1, 1])
    assert twice.merge(DataFrame({"place": [0, 1, 2, 3]}, index=twice.index))["place"].tolist() == [0, 1, 2, 3]


def test_merge_with_the_same_columns_in_common_binds_the_others(runs):
    made = runs.groupby("config.lr").transform((list, "config.seed", "copy"), ungroup=True)
    made["config.lr"] = runs["config.lr"]
    merged = runs.merge(made)
    assert merged["copy"].tolist() == runs["config.seed"].tolist()
    assert list(merged.columns) == [*runs.columns, "copy"]
    assert runs.merge(runs[["config.lr", "train.loss"]]).equals(runs)


def test_merge_refuses_to_pair_each_row_with_several(runs):
    with pytest.raises(InvalidKeyError, match=r"both frames have the columns config.lr, .* on= names the columns"):
        runs.merge(runs[["config.lr"]][::-1].reset_index(drop=True))
    with pytest.raises(InvalidKeyError, match=r"runs.assign\(\*\*others\)"):
        runs.merge(DataFrame({"train.loss": runs["train.loss"][::-1].array}))


def test_merge_with_a_table_of_as_many_rows_is_that_of_pandas(runs):
    table = pd.DataFrame({"config.model": ["rnn", "cnn", "mlp", "kan"], "params": [1, 2, 3, 4]})
    assert runs.merge(table)["params"].tolist() == [3, 3, 2, 2]


def test_frames_of_runs_are_added_as_lists_of_runs_were(log_runs):
    first, second = (log_runs(({"lr": lr}, {"train": [{"loss": lr}]}), name=str(lr)) for lr in (1, 2))
    both = first + second
    assert type(both) is DataFrame
    assert both["config.lr"].tolist() == [1, 2]
    assert both["train.loss"].metric.last().tolist() == [1, 2]
    assert (first[["config.lr"]] + second[["config.lr"]])["config.lr"].tolist() == [3]


@pytest.mark.parametrize(("name", "now"), [("groupBy", "groupby"), ("config_diff", "diff")])
def test_a_name_from_before_mlxp_1_is_answered_by_the_one_of_now(runs, name, now):
    with pytest.raises(AttributeError, match=f"MLXP 1 renamed {name}: write {now}"):
        getattr(runs, name)
    assert not hasattr(runs, "nothing")


def test_numbers_and_truth_values_are_different_settings():
    runs = DataFrame({"config.x": pd.array([1, True], dtype="mixed"), "config.y": pd.array([1, 1], dtype="mixed")})
    assert runs.diff() == ["config.x"]
    assert DataFrame({"config.x": [1000000.0, 1000001.0]}).diff() == ["config.x"]


def test_merge_with_common_columns_is_that_of_pandas(runs):
    table = pd.DataFrame({"config.model": ["mlp", "cnn"], "params": [10, 20]})
    assert runs.merge(table)["params"].tolist() == [10, 10, 20, 20]


def test_to_pandas_is_plain_and_lazy_unless_asked(runs):
    assert type(runs.toPandas()) is pd.DataFrame
    assert runs.toPandas()["train.loss"].dtype == "metric"
    assert runs.toPandas(lazy=False)["train.loss"].dtype == object


def test_the_class_is_kept(runs):
    for frame in (
        runs.head(2),
        runs[runs["config.seed"] == 1],
        runs.copy(),
        runs.assign(x=1),
        runs.sort_values("config.lr"),
    ):
        assert type(frame) is DataFrame


def test_statistics_become_columns(runs):
    made = runs.with_stats("train.loss.last", "train.loss.argmin")
    assert made["train.loss.last"].tolist() == [1.0, 2.0, 0.5, 2.5]
    assert made["train.loss.argmin"].dtype == "int64"


def test_statistics_are_numbers_though_a_run_logged_an_integer_or_none_among_them(log_runs):
    curves = [[0, 0.5], [0.25, None], [0.1, 1.5]]
    runs = log_runs(*[({}, {"train": [{"loss": loss} for loss in curve]}) for curve in curves])
    assert runs.with_stats("train.loss.last")["train.loss.last"].mean() == 1.0
    assert runs["train.loss"].metric.first().dtype == "float64"


@pytest.mark.parametrize("name", ["train.lsos.last", "train.loss.middle", "config.lr.last"])
def test_an_unknown_statistic_is_an_error(runs, name):
    with pytest.raises(InvalidKeyError, match=r"there is no (column|statistic)"):
        runs.with_stats(name)


def test_a_table_shows_what_varies_and_the_status(runs):
    assert runs.head(1).to_table(tablefmt="github").splitlines()[0].count("info.status") == 1
    assert runs.to_table().splitlines()[0].split() == ["config.lr", "config.model", "config.seed", "info.status"]


def test_a_table_of_chosen_columns_and_statistics(runs):
    text = runs.to_table(["config.seed", "train.loss.last"], tablefmt="tsv", floatfmt=".2f")
    assert text.splitlines()[1].split() == ["1", "1.00"]


def test_a_table_of_a_metric_that_does_not_exist_names_the_nearest(runs):
    with pytest.raises(InvalidKeyError, match=r"no column 'trian.loss.last'; did you mean train.loss.last"):
        runs.to_table(["trian.loss.last"])


def test_a_format_of_tables_that_does_not_exist_is_an_error(runs):
    with pytest.raises(InvalidKeyError, match="there is no table format 'excel'; there are asciidoc, "):
        runs.to_table(tablefmt="excel")


def test_a_table_takes_every_format_of_tabulate(runs):
    from tabulate import tabulate_formats

    for name in tabulate_formats:
        assert "0.1" in runs.to_table(["config.lr", "train.loss"], tablefmt=name)


def test_table_shows_texts_as_they_are_and_a_dash_for_what_is_missing():
    commits = pd.array(["007", "1e3", pd.NA], dtype="string")
    runs = DataFrame({"config.commit": commits, "config.note": ["a|b\nc", "d", "e"]})
    body = runs.to_table(tablefmt="github").splitlines()[2:]
    assert [line.split() for line in body] == [
        ["|", "007", "|", r"a\|b", "c", "|"],
        ["|", "1e3", "|", "d", "|"],
        ["|", "–", "|", "e", "|"],
    ]


def test_groups_have_tuples_of_python_values_for_keys(runs):
    groups = runs.groupby(["config.lr", "config.model"])
    assert isinstance(groups, GroupedDataFrame)
    assert set(groups.keys()) == {(0.1, "mlp"), (0.1, "cnn"), (1.0, "mlp"), (1.0, "cnn")}
    assert type(groups[(0.1, "mlp")]) is DataFrame


def test_the_key_of_one_column_is_a_tuple_too(runs):
    assert list(runs.groupby("config.seed").keys()) == [(1,), (2,)]


def test_a_group_is_found_by_the_list_that_its_runs_have(runs):
    groups = runs.assign(**{"config.layers": pd.array([[1], [1, 2], [1], [2]], dtype="mixed")}).groupby("config.layers")
    assert len(groups[([1],)]) == 2
    assert len(groups.select([([2],), ([3],)]).keys()) == 1


def test_grouping_by_a_column_that_does_not_exist_is_an_error(runs):
    with pytest.raises(InvalidKeyError, match=r"did you mean config.lr"):
        runs.groupby("config.rl")


def test_runs_without_a_value_are_a_group(runs):
    frame = runs.assign(**{"config.act": ["relu", None, None, "relu"]})
    assert {key: len(group) for key, group in frame.groupby("config.act").items()} == {("relu",): 2, (None,): 2}


@pytest.mark.skipif(pd.__version__ < "3", reason="pandas 2 lets a function of agg return numbers only")
def test_a_function_of_groups_of_curves_may_return_a_curve(runs):
    means = runs.groupby("config.lr")["train.loss"].agg(lambda curves: np.mean(list(curves), axis=0))
    assert means.iloc[0].tolist() == [4.0, 0.75]


def test_groups_understand_what_those_of_pandas_do(runs):
    groups = runs.groupby("config.lr")
    assert groups["config.seed"].sum().tolist() == [3, 3]
    assert groups.size().tolist() == [2, 2]
    assert [key for key, _ in groups] == [0.1, 1.0]
    assert groups.agg({"config.seed": "max"})["config.seed"].tolist() == [2, 2]
    assert groups.filter(lambda group: group["config.seed"].sum() > 5).empty


def test_groups_are_aggregated_by_maps(runs):
    made = runs.groupby(["config.lr"]).aggregate((mean, ("train.loss",)))
    assert made[(0.1,)][0]["fmean.train.loss"].tolist() == [4.0, 0.75]
    assert [len(group) for group in made.grouped_dict.values()] == [1, 1]


def test_verbs_of_groups_take_their_parameters_by_place_too(runs):
    groups = runs.groupby(["config.lr"])
    made = groups.aggregate((max, "config.seed", "best"), True)
    assert made["best"].tolist() == [2, 2]
    assert len(groups.apply((lambda seed: seed, "config.seed"), "Rowwise", True)) == 4
    kept = groups.filter((lambda losses: [len(losses) == 2] * 2, "train.loss"), ["config.seed"], True)
    assert len(kept) == 4


def test_of_no_runs_those_of_groups_can_be_chosen(runs):
    none = runs.iloc[:0]
    assert list(none.filter((all, "train.loss"), bygroups="config.lr").columns) == list(runs.columns)
    assert list(none.groupby("config.lr").filter((all, "train.loss"), bygroups="config.seed").keys()) == []


def test_ungrouped_results_have_the_keys_as_columns(runs):
    made = runs.groupby(["config.lr"]).aggregate((max, "config.seed", "best"), ungroup=True)
    assert made[["config.lr", "best"]].to_numpy().tolist() == [[0.1, 2], [1.0, 2]]


def test_the_best_method_is_found_as_in_the_tutorial(runs):
    def lowest(curves):
        last = np.array(curves)[:, -1]
        return last == np.min(last)

    groups = runs.groupby(["config.model", "config.lr"])
    best = groups.aggregate((mean, "train.loss")).filter((lowest, "fmean.train.loss"), bygroups=["config.model"])
    assert set(best.keys()) == {("mlp", 0.1), ("cnn", 0.1)}
    chosen = groups.select(best.keys()).aggregate((mean, "train.loss"))
    assert chosen[("cnn", 0.1)][0]["fmean.train.loss"].tolist() == [5.0, 0.5]


def test_groups_sort_map_transform_and_group_again(runs):
    groups = runs.groupby("config.lr")
    assert groups.sort("config.seed", ascending=False)[(0.1,)]["config.seed"].tolist() == [2, 1]
    assert groups.map((str, "config.seed"), ungroup=True)["fstr.config.seed"].tolist() == ["1", "2", "1", "2"]
    assert groups.transform((sorted, "config.seed"))[(1.0,)]["fsorted.config.seed"].tolist() == [1, 2]
    nested = groups.groupby("config.seed")
    assert list(nested[(0.1,)].keys()) == [(1,), (2,)]
    assert isinstance(nested.ungroup(), GroupedDataFrame)


def test_a_group_that_does_not_exist_is_an_error(runs):
    with pytest.raises(InvalidKeyError, match=r"\(0.1,\), \(1.0,\)"):
        runs.groupby("config.lr")[(7,)]


@pytest.mark.parametrize("values", [[[1], [1, 2], [1], None], [1, None, 2, 1], ["a", 0.5, None, "a"]])
def test_groups_by_lists_and_none_are_shown_too(runs, values):
    groups = runs.assign(**{"config.x": pd.array(values, dtype="mixed")}).groupby("config.x")
    for shown in (groups.toPandas(), groups.sort("config.seed").toPandas()):
        assert shown.index.names == ["config.x", None]
        assert sorted(shown.index.get_level_values(1)) == [0, 1, 2, 3]
        assert shown["config.x"].tolist()[-1] is None


def test_groups_of_groups_are_shown_as_one_frame(runs):
    shown = runs.groupby("config.lr").groupby("config.seed").toPandas()
    assert shown.index.names == ["config.lr", "config.seed", None]
    assert shown.loc[(0.1, 2), "config.model"].tolist() == ["cnn"]


def test_curves_of_selected_groups_are_read_in_one_step():
    calls = []
    column = MetricColumn("loss", 100, lambda _, rows: calls.append(rows) or [np.arange(3.0)] * len(rows))
    runs = DataFrame({"config.lr": np.arange(100), "loss": MetricArray.of_rows(column, np.arange(100))})
    chosen = runs.groupby("config.lr").select([(lr,) for lr in range(50)])
    chosen.aggregate((mean, "loss"))
    assert [len(rows) for rows in calls] == [50]


def test_groups_are_shown_as_one_frame(runs):
    frame = runs.groupby("config.lr").toPandas()
    assert frame.index.names == ["config.lr", None]
    assert repr(runs.groupby("config.lr")) == repr(frame)


def test_groups_can_be_made_by_hand(runs):
    groups = GroupedDataFrame(["config.lr"], {(0.1,): runs[runs["config.lr"] == 0.1]})
    assert (len(groups), groups.groups_size, groups.group_vals) == (1, 1, [(0.1,)])
    assert groups["config.seed"].sum().tolist() == [3]


def test_curves_of_equal_length_stack(runs):
    assert runs["train.loss"].metric.stack().shape == (4, 2)


def test_curves_of_different_lengths_do_not_stack():
    with pytest.raises(ValueError, match="from 1 to 2 values"):
        pd.Series([[1.0], [1.0, 2.0]], dtype="metric").metric.stack()


def test_only_metrics_have_the_accessor(runs):
    with pytest.raises(AttributeError, match="holds no metrics"):
        runs["config.seed"].metric  # noqa: B018


def test_values_of_a_metric_behave_like_a_list():
    values = MetricValues.of([1, 2, 3])
    assert (values[0], values[-1], values[1:], len(values), 2 in values) == (1, 3, [2, 3], 3, True)
    assert (list(reversed(values)), values.index(3), hash(values)) == ([3, 2, 1], 2, hash((1, 2, 3)))
    assert type(values[0]) is int
    assert (str(values), f"{values}", f"{MetricValues.of(range(9))}") == ("[1, 2, 3]", "[1, 2, 3]", "[0, 1, 2, ...]")


def test_the_array_of_a_metric_cannot_be_changed_by_accident():
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(MetricValues.of([1.0, 2.0]))[0] = 5


def test_metrics_survive_parquet(runs, tmp_path):
    frame = pd.DataFrame(
        {"m": MetricArray.of([[1, 2], [], np.nan]), "x": MetricArray.of([["a", None], [1, 2.5], [True]])}
    )
    frame.to_parquet(tmp_path / "frame.parquet")
    back = pd.read_parquet(tmp_path / "frame.parquet")
    assert back.equals(frame)
    assert back["m"].iloc[0].tolist() == [1, 2]


def test_a_subclass_stays_one(runs):
    class Mine(DataFrame):
        @property
        def _constructor(self):
            return Mine

    mine = Mine(runs)
    assert type(mine.head(1)) is type(mine[mine["config.lr"] > 0]) is Mine
    assert type(mine.merge(runs[["config.seed"]].drop_duplicates(), on="config.seed")) is Mine

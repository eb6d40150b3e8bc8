"""Results of users' own statistics are kept, and never those of a function that has changed."""

import functools
import json
import math

import numpy as np
import pandas as pd
import platformdirs
import pytest

from mlxp.commands.main import main
from mlxp.errors import InvalidKeyError
from mlxp_reader import DataFrame, Reader, statistic
from mlxp_reader.query.own_statistics import fingerprint
from mlxp_reader.query.statistics import STATISTICS


@pytest.fixture(autouse=True)
def _forget():
    known = dict(STATISTICS)
    yield
    STATISTICS.clear()
    STATISTICS.update(known)


def function_of(source, **known):
    """Return the function ``f`` of a source, as another program would define it."""
    scope = {"np": np, "math": math, **known}
    exec(source, scope)
    return scope["f"]


def results(function, *runs):
    frame = DataFrame({"config.seed": range(len(runs)), "a.x": pd.array(list(runs), dtype="metric")})
    statistic("own")(function)
    return frame.with_stats("a.x.own")["a.x.own"].tolist()


def kept():
    """Return all results that are kept, by file."""
    folder = platformdirs.user_cache_path("mlxp", appauthor=False) / "statistics"
    return {file.name: json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))}


SPREAD = "def f(run):\n    return run.max() - run.min()"


def test_results_of_the_same_function_and_values_are_looked_up():
    found = results(function_of(SPREAD), [1.0, 3.0], [2.0, 2.0], [], [1.0, 3.0])
    assert found == pytest.approx([2, 0, math.nan, 2], nan_ok=True)
    [(name, numbers)] = kept().items()
    folder = platformdirs.user_cache_path("mlxp", appauthor=False) / "statistics"
    (folder / name).write_text(json.dumps(dict.fromkeys(numbers, 7.0)))  # shows whether it is looked up
    again = function_of(f"# a comment\n{SPREAD}")
    assert results(again, [1.0, 3.0], [1.0, 4.0]) == [7.0, 3.0]


def test_damaged_file_of_results_is_made_again():
    results(function_of(SPREAD), [1.0, 3.0])
    [name] = kept()
    (platformdirs.user_cache_path("mlxp", appauthor=False) / "statistics" / name).write_text("{")
    assert results(function_of(SPREAD), [1.0, 3.0]) == [2.0]


CALLS = "def f(run):\n    return held(run)"
HOLDS = "def f(run):\n    return [held for _ in run][0]"
ENCLOSES = "def g(q):\n    return lambda run: q\nf = g({})"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((SPREAD, None), ("def f(run):\n    return run.max() - run.mean()", None)),
        ((CALLS, lambda run: run.max()), (CALLS, lambda run: run.min())),
        ((CALLS, functools.partial(max, 1)), (CALLS, functools.partial(max, 2))),
        (("def f(run, q=1):\n    return q", None), ("def f(run, q=2):\n    return q", None)),
        ((ENCLOSES.format(1), None), (ENCLOSES.format(2), None)),
        ((HOLDS, 1), (HOLDS, 2)),
        ((HOLDS, {"a": [1]}), (HOLDS, {"a": [2]})),
        ((HOLDS, np.array([1])), (HOLDS, np.array([2]))),
        ((HOLDS, np.float64), (HOLDS, np.float32)),
    ],
)
def test_function_that_could_return_something_else_is_another_one(one, other):
    mine, others, again = (fingerprint(function_of(source, held=held)) for source, held in (one, other, one))
    assert None not in {mine, others}
    assert mine != others
    assert mine == again


def test_result_that_is_no_number_is_one_sentence():
    told = "a statistic returns one number per run, and f returned a NoneType: None"
    with pytest.raises(InvalidKeyError, match=told):
        results(function_of("def f(run):\n    pass"), [1.0])


class Model:
    """Something whose changes nobody can see."""


@pytest.mark.parametrize("held", [Model(), Model, np.random.default_rng(0).normal, pd.DataFrame()])
def test_function_that_refers_to_anything_else_is_called_each_time(held):
    assert fingerprint(function_of("def f(run):\n    return held", held=held)) is None
    calls = [1.0, 2.0]
    function = function_of("def f(run):\n    return pop(held)", held=held, pop=lambda _: calls.pop())
    assert results(function, [1.0]) + results(function, [1.0]) == [2.0, 1.0]
    assert kept() == {}


def test_commands_know_statistics_of_a_plugin(tmp_path, monkeypatch, capsys, log_runs):
    runs = log_runs(*(({"seed": seed}, {"a": [{"x": 1.0}, {"x": 2.0 + seed}]}) for seed in (1, 2)))
    logs = Reader(runs.attrs["mlxp"]["logs"][0]).src_dir
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_spread.py").write_text(f"import mlxp\n\n\n@mlxp.statistic('own')\n{SPREAD}\n")
    assert main(["table", "--logs", logs, "-c", "seed,a.x.own", "--plugin", "own_spread", "-f", "csv"]) == 0
    assert capsys.readouterr().out.split() == ["seed,a.x.own", "1,2.0", "2,3.0"]
    Reader(logs).filter().table("seed", value="a.x.own").to_latex("table.tex")
    assert main(["verify", "table.tex", "--plugin", "own_spread"]) == 0
    STATISTICS.pop("own")
    assert main(["verify", "table.tex"]) == 1
    assert "there is no statistic 'own' of a.x" in capsys.readouterr().out

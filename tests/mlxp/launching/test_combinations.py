"""Which runs a command line asks for."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from mlxp.errors import InvalidConfigFileError
from mlxp.launching.combinations import combinations


def runs(*overrides, own=(), together=()):
    parser = OverridesParser.create()
    found = combinations(parser.parse_overrides(list(own)), parser.parse_overrides(list(overrides)), together)
    return [" ".join(run) for run in found]


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ("a=1,2 b=3,4", ["a=1 b=3", "a=1 b=4", "a=2 b=3", "a=2 b=4"]),
        ("seed=1,2 seed=5", ["seed=5"]),
        ("seed=5 seed=1,2", ["seed=1", "seed=2"]),
        ("seed=1,2 seed=3,4", ["seed=3", "seed=4"]),
        ("seed=range(5) lr=1,2 seed=5", ["lr=1 seed=5", "lr=2 seed=5"]),
        ("+x=1,2 x=5", ["+x=5"]),
        ("+x=1,2 ++x=5", ["++x=5"]),
        ("++x=1,2 x=5", ["++x=5"]),
        ("x=1,2 ++x=5,6", ["++x=5", "++x=6"]),
        ("+x=1,2 x=3 x=4,5", ["+x=4", "+x=5"]),
        ("seed=1,2 ~seed", ["~seed"]),
        ("+x=1,2 ~x", [""]),
        ("db@one=a,b db@two=c db@one=d", ["db@two=c db@one=d"]),
        # Hydra merges a mapping into the one before.
        ("x={a:1},{a:2} x={b:3}", ["x={a:1} x={b:3}", "x={a:2} x={b:3}"]),
        ("x={a:1},{a:2} x=5", ["x=5"]),
        # These are errors, or depend on the value before: Hydra says so.
        ("+x=1,2 +x=5", ["+x=1 +x=5", "+x=2 +x=5"]),
        ("~x +x=1,2", ["~x +x=1", "~x +x=2"]),
        ("seed=1,2 ~seed=1", ["seed=1 ~seed=1", "seed=2 ~seed=1"]),
        ("seed=1 seed=2", ["seed=1 seed=2"]),
    ],
)
def test_last_override_of_a_key_counts(overrides, expected):
    assert runs(*overrides.split()) == expected


def test_given_overrides_count_before_those_of_the_sweeper():
    assert runs("seed=5", own=["seed=1,2", "lr=3,4"]) == ["lr=3 seed=5", "lr=4 seed=5"]


@pytest.mark.parametrize("overrides", [["seed=1,2", "seed=5"], ["+new=1,2", "++new=5"]])
def test_no_run_is_done_twice(actions, overrides):
    result = actions.run(*overrides)
    assert result.returncode == 0, result.stderr
    assert actions.log_ids() == [1]
    assert actions.config().get("new", actions.config()["seed"]) == 5


@pytest.mark.parametrize(
    ("overrides", "together", "expected"),
    [
        ("a=1,2 b=3,4", [["a", "b"]], ["a=1 b=3", "a=2 b=4"]),
        ("a=1,2 b=3,4", [["b", "a"]], ["a=1 b=3", "a=2 b=4"]),
        ("a=1,2 s=7,8 b=3,4", [["a", "b"]], ["a=1 s=7 b=3", "a=1 s=8 b=3", "a=2 s=7 b=4", "a=2 s=8 b=4"]),
        ("s=7,8 a=1,2 b=3,4", [["a", "b"]], ["s=7 a=1 b=3", "s=7 a=2 b=4", "s=8 a=1 b=3", "s=8 a=2 b=4"]),
        ("a=1,2 b=3,4 c=5,6 d=7,8", [["a", "c"], ["b", "d"]], None),
        ("a=1 b=3,4", [["a", "c"]], ["a=1 b=3", "a=1 b=4"]),
        ("b=3,4", [["a", "c"]], ["b=3", "b=4"]),
        ("a=1,2 b=3,4", [[]], ["a=1 b=3", "a=1 b=4", "a=2 b=3", "a=2 b=4"]),
        ("a=range(2) b=[1,2],[3]", [["a", "b"]], ["a=0 b=[1,2]", "a=1 b=[3]"]),
        ("+a=1,2 ++b=3,4", [["a", "b"]], ["+a=1 ++b=3", "+a=2 ++b=4"]),
        ("db@one=x,y lr=1,2", [["db@one", "lr"]], ["db@one=x lr=1", "db@one=y lr=2"]),
        ("a=1,2 a=3,4,5 b=6,7,8", [["a", "b"]], ["a=3 b=6", "a=4 b=7", "a=5 b=8"]),
    ],
)
def test_keys_vary_together(overrides, together, expected):
    found = runs(*overrides.split(), together=together)
    if expected is None:
        expected = ["a=1 b=3 c=5 d=7", "a=1 b=4 c=5 d=8", "a=2 b=3 c=6 d=7", "a=2 b=4 c=6 d=8"]
    assert found == expected


def test_own_sweeps_vary_together_with_given_ones():
    assert runs("b=3,4", own=["a=1,2"], together=[["a", "b"]]) == ["a=1 b=3", "a=2 b=4"]


@pytest.mark.parametrize(
    ("overrides", "together", "said"),
    [
        ("a=1,2 b=3,4,5", [["a", "b"]], "but a has 2 and b has 3"),
        ("a=1,2 b=3", [["a", "b"]], "but a has 2 and b has 1"),
        ("a=1,2", [["a", "b", "c"]], "but a has 2, b has none and c has none"),
        ("a=1,2 b=3,4 c=5,6", [["a", "b"], ["b", "c"]], "names b twice"),
    ],
)
def test_keys_that_cannot_vary_together_are_told_in_one_sentence(overrides, together, said):
    with pytest.raises(InvalidConfigFileError, match=said):
        runs(*overrides.split(), together=together)

"""What a YAML file stands for is counted before anything is made of it."""

import pytest
import yaml

from mlxp.run_directory.budget import DEEPEST, Budget, ExceededError, spend_on
from mlxp.run_directory.files import read_yaml


def spent(text):
    budget = Budget()
    spend_on(text, budget)
    whole = Budget()
    return whole.values - budget.values, whole.characters - budget.characters


PADDING = "#" + " " * 10_000 + "\n"
"""Makes a text too long to be taken for a small one, whose values are estimated."""


@pytest.mark.parametrize(
    ("text", "values", "characters"),
    [
        ("a: 1\n", 3, 2),
        ("a: [1, 22]\n", 5, 4),
        ("a: &x [1, 22]\nb: *x\n", 9, 8),
        ("a: &x text\nb: *x\nc: [*x, *x]\n", 9, 19),
        ("a: &x [1]\nb: &y [*x, *x]\nc: *y\n", 3 + 1 + 2 + 5 + 5, 3 + 5),
        ("a: &x {k: 1}\nb:\n  <<: *x\n", 11, 8),
    ],
)
def test_an_alias_counts_for_all_that_it_names(text, values, characters):
    assert spent(PADDING + text) == (values, characters)


def test_no_file_may_stand_for_more_than_the_budget():
    budget = Budget(values=20)
    with pytest.raises(ExceededError, match="values"):
        spend_on("a: &x [1, 2, 3, 4, 5]\n" + "".join(f"k{n}: *x\n" for n in range(10)), budget)
    with pytest.raises(ExceededError, match="MB of text"):
        spend_on(PADDING + "a: 12345\n", Budget(characters=5))


def test_a_file_that_is_refused_takes_nothing_from_the_budget():
    budget = Budget(values=20)
    with pytest.raises(ExceededError):
        spend_on(PADDING + f"a: [{'1,' * 30}]\n", budget)
    assert budget.values == 20


@pytest.mark.parametrize("text", ["a: &a [*a]\n", "a: &a {b: {c: *a}}\n"])
def test_what_holds_itself_is_an_error(text):
    with pytest.raises(yaml.YAMLError, match=r"\*a stands for a collection that it is in"):
        spend_on(text, Budget())


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_what_is_nested_too_deeply_is_an_error_however_short(opening):
    with pytest.raises(yaml.YAMLError, match=rf"{DEEPEST} levels"):
        spend_on(opening * 200, Budget())


@pytest.mark.parametrize(
    "number", ["0x" + "f" * 5000, "-" + "9" * 5000, "1:" * 2000 + "1", '!!int "0x' + "f" * 5000 + '"']
)
def test_a_number_that_python_cannot_write_is_an_error(number):
    for padding in ("", PADDING):
        with pytest.raises(yaml.YAMLError, match="digits"):
            spend_on(f"{padding}a: {number}\n", Budget())


def test_a_text_of_many_digits_is_no_number():
    assert spent(f"{PADDING}a: '{'9' * 5000}'\n") == (3, 5001)


def test_a_file_of_aliases_is_not_read(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text("a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40)))
    with pytest.raises(ExceededError):
        read_yaml(file)

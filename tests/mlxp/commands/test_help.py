"""Every command and option of ``mlxp`` is explained: in its help, and on the page of the reference."""

import argparse
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from mlxp.commands.main import main, parser
from mlxp_reader.query.statistics import listed

PAGE = (Path(__file__).parents[3] / "docs/reference/command-line.md").read_text(encoding="utf-8")
VERBS = next(one.choices for one in parser()._actions if isinstance(one.choices, dict))
OPTIONS = [
    (verb, action)
    for verb, of_verb in VERBS.items()
    for action in of_verb._actions
    if "--help" not in action.option_strings
]


def section(verb):
    return re.search(rf"^### `mlxp {verb}\b.*?(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)[0]


@pytest.mark.parametrize(("verb", "action"), OPTIONS)
def test_option_is_explained_in_the_help_and_in_the_reference(verb, action):
    assert action.help
    assert all(f"`{name}" in section(verb) for name in action.option_strings or [action.metavar or action.dest])


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_command_ends_with_an_example_that_is_right_usage(verb, capsys):
    with pytest.raises(SystemExit, match="0"):
        main([verb, "--help"])
    program, *arguments = shlex.split(capsys.readouterr().out.rpartition("example:\n")[2])
    assert program == "mlxp"
    assert isinstance(parser().parse_args(arguments), argparse.Namespace)


def test_help_lists_every_command():
    code = "from mlxp.commands.main import main; main(['--help'])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert all(re.search(rf"^    {verb} ", shown, re.MULTILINE) for verb in VERBS)


def test_help_of_the_table_names_every_statistic(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["table", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert listed() in shown

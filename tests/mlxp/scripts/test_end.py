"""A plan comes to its end, however long the script is, and whatever it waits for."""

import os
import signal
import subprocess
import sys

import pytest

from mlxp.programs import run_program
from mlxp.scripts import execution
from mlxp.scripts.plan import make_plan
from mlxp.scripts.plan_text import guarded_text, planned_text
from mlxp.scripts.script import ScriptError, parsed, read_script


@pytest.fixture
def plan(tmp_path, monkeypatch):
    """A function that makes the plan of a script's lines, of which the fourth is the first that matters."""
    if os.name != "posix":
        pytest.skip("without a POSIX shell, NO plan is tested")
    monkeypatch.chdir(tmp_path)

    def make(body, shebang="#!/bin/bash"):
        file = tmp_path / "script.sh"
        file.write_text(f"{shebang}\n#SBATCH --time=1\n\n{body}\npython main.py\n", encoding="utf-8")
        return make_plan(read_script(file), "SLURM")

    return make


ENDLESS = {
    "what was left out succeeds": "while rm -f none; do :; done",
    "a file that never comes": "until [ -f ready ]; do sleep 0.1; done",
    "nothing but a test": "until [ -f ready ]; do :; done",
    "a failure that stays": "while ! ls none 2> /dev/null; do sleep 0.1; done",
    "no condition": "for ((;;)); do :; done",
    "a substitution": "X=$(while :; do :; done)",
    "a function": "until false; do true; done; f() { :; }",
    "a pipeline": "yes | while read -r x; do :; done",
    "the background": "{ while :; do sleep 0.1; done; python main.py; } & wait",
    "another file": ". ./wait.sh",
    "a text": "eval 'while :; do :; done'",
    "an answer": "X=$(bash -c 'while :; do rm -f $(ls) none; done')",
}


@pytest.mark.parametrize("what", ENDLESS)
def test_loop_without_an_end_is_told_and_ends_the_plan(plan, monkeypatch, capsys, tmp_path, what):
    monkeypatch.setattr(execution, "TOLD", 0)
    monkeypatch.setattr(execution, "LOOP", 0.5)
    (tmp_path / "wait.sh").write_text("while :; do sleep 0.1; done\n")
    with pytest.raises(ScriptError, match=r"line 4: .*: the plan has started nothing new for .*Nothing was submitted"):
        plan(ENDLESS[what])
    assert "the plan is here, and has started nothing new" in capsys.readouterr().err


@pytest.mark.parametrize("line", ["sleep 1000", "tail -f script.sh", "python -c 'import time; time.sleep(1000)' &"])
def test_command_that_does_not_end_ends_the_plan(plan, monkeypatch, line):
    monkeypatch.setattr(execution, "COMMAND", 0.5)
    with pytest.raises(ScriptError, match=r"line 4: .*nothing new for .*Nothing was submitted"):
        plan(line)


def test_loop_that_starts_one_command_again_and_again_ends_the_plan(plan, monkeypatch, tmp_path):
    monkeypatch.setattr(execution, "REPEATS", 3)
    (tmp_path / "work.py").write_text("")
    with pytest.raises(ScriptError, match=r"line 4: .*: the plan has started the same command 3 times"):
        plan("while python work.py; do :; done")


def test_loop_that_creates_something_new_in_each_turn_goes_on(monkeypatch, tmp_path):
    monkeypatch.setattr(execution, "LOOP", 0)
    watch = execution.Watch(parsed(b"while read x; do mkdir $x; done\n", tmp_path / "script.sh"), tmp_path)
    for turns in ("1", "12", "123"):
        (tmp_path / "turns").write_text(turns)
        (tmp_path / "made.jsonl").write_text("{}\n" * len(turns))
        watch.look()
    (tmp_path / "turns").write_text("1234")
    with pytest.raises(ScriptError, match="nothing new"):
        watch.look()


@pytest.mark.parametrize(
    "line", ["read answer", "cat", "read answer < /dev/tty", "wait", "select x in 1 2; do :; done"]
)
def test_script_reads_what_it_would_in_a_job_which_is_nothing(plan, line):
    with pytest.raises(ScriptError, match="exit code 7"):
        plan(f"{line}; exit 7")


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGKILL"])
def test_nothing_of_a_plan_outlives_mlxpsub(make_desk, name):
    desk = make_desk("words", "SLURM")
    desk.write("#!/bin/bash\n#SBATCH --time=1\necho $$ > pid\nuntil [ -f ready ]; do sleep 0.1; done\npython main.py\n")
    code = "import sys; from mlxp.commands.mlxpsub import main; sys.exit(main())"
    with subprocess.Popen([sys.executable, "-c", code, "script.sh"], cwd=desk.directory, env=desk.env) as process:
        (pid,) = desk.app.wait_for("pid")
        process.send_signal(getattr(signal, name))
    while os.path.exists(f"/proc/{pid.strip()}"):
        pass


LINES = {
    "plain": "X=$(echo {})",
    "nested": 'X="$(rm "$(mv a "$(cp b c{})")")"',
    "here-document": "X=$(cat <<END\nit's $(rm {}) and )\nEND\n)",
    "case": "X=$(case a in a) rm f{};; (b) mv a b;; *) ls;; esac)",
    "comment": "X=$(rm f{} # it's \"a )\n)",
    "subshell": "X=$((rm {}; ls) | head -n 1)",
    "sum": "X=$((({} + 1) * (2)))",
    "backticks": "X=`rm \\`ls {}\\``",
    "function": "f{0}() {{ local X=$(rm {0}); }}",
    "python": "X=$(python -c 'print({})')",
}


@pytest.mark.parametrize("kind", LINES)
def test_script_of_many_lines_keeps_its_syntax(kind, tmp_path):
    lines = [LINES[kind].format(number) for number in range(500)]
    text = "\n".join(["#!/bin/bash", *lines, "python main.py seed=1,2", ""]).encode()
    script = parsed(text, tmp_path / "script.sh")
    for planned in (
        planned_text(script, tmp_path / "f", tmp_path),
        guarded_text(text, tmp_path / "s", {}, frozenset()),
    ):
        assert run_program(["bash", "-n"], seconds=60, given=planned).code == 0
        assert planned.count(b"do 0") + planned.count(b"do -") > 0 or b"rm" not in text
    assert len([command for command in script.commands if not command.substituted]) == 1


def test_case_with_an_escaped_parenthesis_keeps_its_syntax(tmp_path):
    text = b"case $(rm 1) in *\\)*) X=1;; *) X=2;; esac\npython main.py\n"
    planned = planned_text(parsed(text, tmp_path / "script.sh"), tmp_path / "f", tmp_path)
    assert run_program(["bash", "-n"], seconds=60, given=planned).code == 0


def test_script_that_is_longer_than_an_argument_may_be_is_planned(make_desk):
    desk = make_desk("words", "SLURM")
    lines = [f"X{number}=$(rm --version > /dev/null; echo {number})" for number in range(3)]
    filler = [f": {'x' * 1000}" for _ in range(140)]
    desk.submit("\n".join(["#!/bin/bash", "#SBATCH --time=1", *lines, *filler, "python main.py x=$X2", ""]))
    assert desk.commands() == ["python main.py x=2"]

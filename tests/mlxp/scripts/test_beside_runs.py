"""What stands beside the runs of a script: other programs, the background, launchers that start several."""

import json
import re
import sys

import pytest


@pytest.fixture
def words(make_desk):
    return make_desk("words", "SLURM")


def script(body, options="#SBATCH --time=1"):
    return f"#!/bin/bash\n{options}\n{body}\n"


def facts(desk, log_id, **env):
    job = desk.run_job(log_id, **env)
    assert job.returncode == 0, job.stderr
    (line,) = (desk.directory / f"logs/{log_id}/ran.jsonl").read_text(encoding="utf-8").splitlines()
    return json.loads(line)


def refusal(desk, body):
    result = desk.mlxpsub(desk.write(script(body)).name)
    assert result.returncode == 1
    assert desk.app.log_ids() == []
    return result.stderr


@pytest.mark.parametrize("start", ["", "set -euo pipefail\n"])
def test_program_that_needs_results_may_fail_after_the_last_run(words, start):
    words.write("import sys; sys.exit('no results')\n", "read.py")
    result = words.submit(script(f"{start}python main.py a=1,2\npython read.py --all"))
    assert re.search(r"python read.py --all: .*failed here with exit code 1, after the last run", result.stderr)
    assert words.job(2).splitlines()[-2:] == ["python main.py a=2", "python read.py --all"]


@pytest.mark.parametrize(
    "body",
    [
        "python read.py\npython main.py a=1",
        "set -e\npython main.py a=1\npython read.py\npython main.py a=2",
        "set -e\nfalse\npython main.py a=1",
    ],
)
def test_failure_before_a_run_is_fatal(words, body):
    words.write("import sys; sys.exit('no results')\n", "read.py")
    assert "nothing was submitted" in refusal(words, body)


def test_program_that_would_change_files_is_left_to_the_jobs(words):
    words.write("old", "results.csv")
    words.write("open('results.csv', 'a').write(' and new')\n", "read.py")
    result = words.submit(script("python main.py a=1,2\npython read.py"))
    assert "python read.py: not an MLXP program; it would overwrite results.csv, which a plan does not" in result.stderr
    assert (words.directory / "results.csv").read_text(encoding="utf-8") == "old"
    facts(words, 1)
    assert (words.directory / "results.csv").read_text(encoding="utf-8") == "old and new"


def test_function_that_stands_for_python_is_called_in_the_jobs(words):
    (words.home / "bin/apptainer").write_text('#!/bin/sh\nexport INSIDE=$2\nshift 2\nexec "$@"\n', encoding="utf-8")
    (words.home / "bin/apptainer").chmod(0o755)
    words.submit(script('python() { apptainer exec image.sif python "$@"; }\npython main.py a=1,2'))
    assert 'python() { apptainer exec image.sif python "$@"; }' in words.job(2)
    found = facts(words, 2)
    assert (found["words"], found["env"]["INSIDE"]) == (["a=2"], "image.sif")


def test_what_the_plan_did_not_come_to_stays_unless_it_has_runs(words):
    words.write("local", "data")
    body = "[ -f data ] || python prep.py > data\n[ -f data ] || python main.py a=9\npython main.py a=1"
    words.write(words.app.directory.joinpath("main.py").read_text() + "# mlxp.launch\n", "main.py")
    words.submit(script(body))
    assert "[ -f data ] || python prep.py > data" in words.job(1)
    assert "a=9" not in words.job(1)


@pytest.mark.parametrize(
    ("body", "number"),
    [
        ("(python main.py seed=1 &)", 1),
        ("for s in 1 2 3; do (sleep 0.2; python main.py seed=$s) & done &", 3),
        ("for s in 1 2; do python main.py seed=$s & done & disown", 2),
        ('train() { sleep 0.2; python main.py "$@"; }\n{ train seed=1; train seed=2; } &\n(train seed=3 &) &', 3),
        ("while true; do nvidia-smi; sleep 60; done > gpu.log &\npython main.py seed=1\nkill $!", 1),
        ("tensorboard --logdir logs &\nwatch=$!\npython main.py seed=1 && kill $watch", 1),
    ],
)
def test_all_that_is_started_in_the_background_is_planned(words, body, number):
    words.submit(script(body))
    assert len(words.app.log_ids()) == number


@pytest.mark.parametrize(
    "line",
    [
        "seq 3 | xargs -P2 -I{} python main.py seed={}",
        "seq 3 | env xargs -P2 -I{} python main.py seed={}",
        "env xargs -P2 python main.py seed={} < seeds",
        "parallel python main.py seed={} ::: 1 2 3",
        "find . -name '*.yaml' -exec python main.py seed={} ';'",
    ],
)
def test_what_starts_a_program_several_times_is_refused(words, line):
    words.write("1\n2\n", "seeds")
    said = refusal(words, f"python main.py a=1\n{line}")
    assert "starts its program several times, each time with other arguments; write a loop" in said
    assert "'env'" not in said


@pytest.mark.parametrize("line", ["bash more.sh", "./more.sh", "sh ./more.sh || true"])
def test_runs_in_another_script_are_refused(words, line):
    words.write(words.app.directory.joinpath("main.py").read_text() + "# mlxp.launch\n", "main.py")
    words.write("#!/bin/bash\npython main.py seed=1,2\n", "more.sh").chmod(0o755)
    assert "starts a program of MLXP" in refusal(words, f"python main.py a=1\n{line}")


def test_unknown_program_is_executed_only_where_its_answer_is_needed(words):
    words.write("#!/bin/sh\necho run >> called\necho 5\n", "tool").chmod(0o755)
    body = """\
./tool
N=$(./tool)
if ./tool; then ./tool seven; fi
./tool || exit 1
./tool eight && true
./tool | while read s; do python main.py a=$N b=$s; done"""
    result = words.submit(script(body))
    assert "a=5 b=5" in words.commands()[0]
    assert (words.directory / "called").read_text(encoding="utf-8").count("run") == 3
    assert "line 3: ./tool; line 5: ./tool seven; line 6: ./tool; line 7: ./tool eight\n" in result.stderr


def test_job_is_as_careful_as_the_script(words):
    words.write("#!/bin/sh\n[ -f ready ]\n", "check").chmod(0o755)
    words.submit(script("./check && python main.py a=1,2 || exit 4"))
    assert words.run_job(1).returncode == 4
    words.write("", "ready")
    assert facts(words, 2)["words"] == ["a=2"]


def test_runs_in_several_directories_are_told_apart(words):
    body = "LOGS=$PWD/a python main.py a=1\nLOGS=$PWD/b python main.py a=2"
    words.write(script(body))
    said = words.mlxpsub("--dry-run", "script.sh").stdout
    assert "  run a/1: a=1\n  run b/1: a=2\n" in said
    assert [line.partition(": ")[0] for line in words.submit(script(body)).stdout.splitlines()] == [
        "run a/1",
        "run b/1",
    ]


@pytest.mark.parametrize(
    "first", [f"#!{sys.executable}\n", f"#!/bin/sh\n'''exec' \"{sys.executable}\" \"$0\" \"$@\"\n' '''\n"]
)
def test_command_of_a_package_that_starts_runs_is_named(words, first):
    """Otherwise each job would do its runs once more, beside its own."""
    words.write("", "pkg/__init__.py")
    words.write("import mlxp\n\n\n@mlxp.launch()\ndef main(ctx):\n    pass\n", "pkg/train.py")
    command = f"{first}import sys\nfrom pkg.train import main\nsys.exit(main())\n"
    words.write(command, "train").chmod(0o755)
    said = refusal(words, "export PYTHONPATH=$PWD PATH=$PATH:$PWD\ntrain a=1\npython main.py a=2")
    assert "`train a=1` starts a program of MLXP, the module pkg.train, which mlxpsub does not see" in said
    assert "write `python -m pkg.train` in the script" in said


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ('source /dev/stdin <<< "X=5"\npython main.py a=$X', "which a plan does not see"),
        (". /proc/self/fd/0 << END\nX=5\nEND\npython main.py a=$X", "which a plan does not see"),
        ("bash -e << END\npython train.py a=3\nEND\npython main.py a=1", "that start a program of MLXP"),
        ("echo python train.py a=3 | sh\npython main.py a=1", "that start a program of MLXP"),
    ],
)
def test_commands_that_come_from_the_standard_input_are_refused_where_runs_depend_on_them(words, body, reason):
    words.write("import mlxp\n\n\n@mlxp.launch()\ndef main(ctx):\n    pass\n", "train.py")
    said = refusal(words, body)
    assert "reads commands from its standard input" in said
    assert reason in said
    assert "write them into the script" in said


def test_commands_from_the_standard_input_that_start_no_run_are_left_to_the_jobs(words):
    result = words.submit(script("bash << END\nrm -f x\npython prepare.py\nEND\npython main.py a=1"))
    assert "left to the jobs" in result.stderr

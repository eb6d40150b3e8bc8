"""Shell scripts as users write them: each does in the jobs what it says, once per run."""

import json
import shlex
import subprocess

import pytest
from hydra.core.override_parser.types import Quote, QuotedString
from hypothesis import given, settings
from hypothesis import strategies as st

from mlxp.scripts.job_script import quoted


@pytest.fixture
def words(make_desk):
    """A program that starts at once, to be submitted to a Slurm that only notes what it is asked."""
    desk = make_desk("words", "SLURM")
    desk.env["HERE"] = str(desk.directory)
    return desk


def script(body, shebang="#!/bin/bash"):
    return f"{shebang}\n#SBATCH --time=1\n{body}\n"


def ran(desk, log_id):
    """Start the job of a run and return what its program was: it must have been started once."""
    job = desk.run_job(log_id)
    assert job.returncode == 0, job.stderr
    (line,) = (desk.directory / f"logs/{log_id}/ran.jsonl").read_text(encoding="utf-8").splitlines()
    return json.loads(line)


@pytest.mark.parametrize(
    "shebang", ["#!/bin/bash", "#!/usr/bin/env bash", "#!/bin/bash -l", "#!/bin/sh", "#!/usr/bin/env -S bash -e"]
)
def test_shebang_is_kept(words, shebang):
    words.submit(script("python main.py a=1,2", shebang))
    assert words.job(2).splitlines()[0] == shebang
    assert ran(words, 2)["words"] == ["a=2"]


def test_script_without_shebang_is_one_for_bash(words):
    words.submit("#SBATCH --time=1\npython main.py a=1\n")
    assert words.job(1).startswith("#!/bin/bash\n#SBATCH --job-name=logs/1\n")


def test_script_for_another_language_is_refused(words):
    result = words.mlxpsub(words.write("#!/usr/bin/perl\n#SBATCH --time=1\n").name)
    assert "#!/usr/bin/perl" in result.stderr
    assert result.returncode == 1


def test_script_that_is_no_shell_is_refused_with_the_shells_words(words):
    result = words.mlxpsub(words.write(script("for python main.py")).name)
    assert "not valid shell" in result.stderr
    assert result.returncode == 1


def test_missing_script_is_one_sentence(words):
    result = words.mlxpsub("nowhere.sh")
    assert result.stderr.startswith("mlxpsub: cannot read the script nowhere.sh")
    assert result.returncode == 1


def test_name_of_a_script_may_have_spaces(words):
    words.write(script("python main.py a=1"), "my script.sh")
    assert words.mlxpsub("my script.sh").returncode == 0


def test_windows_line_ends_and_byte_order_mark_do_no_harm(words):
    result = words.submit("\ufeff" + script("python main.py a=1").replace("\n", "\r\n"))
    note = "the jobs run whatever code is there when they start; --frozen keeps the present code"
    assert result.stderr == f"mlxpsub: {note}\n"
    assert ran(words, 1)["words"] == ["a=1"]


@pytest.mark.parametrize("shebang", ["#!/bin/bash -e -u", "#!/usr/bin/env bash -e"])
def test_first_line_whose_options_the_system_would_take_for_one_is_refused(words, shebang):
    result = words.mlxpsub(words.write(script("python main.py a=1", shebang)).name)
    assert result.returncode == 1
    assert "join several options into one, as in '#!/bin/bash -eu'" in result.stderr


def test_script_can_be_submitted_from_elsewhere(words):
    file = words.write(script('cd "$(dirname "$0")"\npython main.py a=1'))
    result = words.mlxpsub(str(file), cwd=words.home)
    assert result.returncode == 0, result.stderr
    assert ran(words, 1)["cwd"] == str(words.directory)


@pytest.mark.parametrize("itself", ['"$0"', '"${BASH_SOURCE[0]}"', '"${BASH_SOURCE[0]:-$0}"', "${0%/*}/script.sh"])
def test_script_finds_the_files_beside_it_in_plan_and_jobs(words, itself):
    words.write("VALUE=7\n", "env.sh")
    words.submit(
        script(f'HERE=$(cd "$(dirname {itself})" && pwd)\ncd /\n. $HERE/env.sh\ncd $HERE\npython main.py a=$VALUE')
    )
    facts = ran(words, 1)
    assert (facts["words"], facts["cwd"]) == (["a=7"], str(words.directory))


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("python main.py a=1", "python main.py a=1"),
        ("python3 -u main.py a=1", "python3 -u main.py a=1"),
        ("python -m pkg.main a=1", "python -m pkg.main a=1"),
        ("python main.py --config-name other a=1", "python main.py --config-name other a=1"),
        ("python main.py -m a=1", "python main.py a=1"),
        ("A=1 python main.py a=1 # python main.py b=2", "A=1 python main.py a=1"),
        ("PY=python; $PY main.py a=1", "PY=python; $PY main.py a=1"),
        ("srun -n 2 python main.py a=1", "srun -n 2 python main.py a=1"),
        ("torchrun --nproc_per_node=2 main.py a=1", "torchrun --nproc_per_node=2 main.py a=1"),
        ("accelerate launch --cpu main.py a=1", "accelerate launch --cpu main.py a=1"),
        ("apptainer exec python.sif python main.py a=1", "apptainer exec python.sif python main.py a=1"),
        ("uv run main.py a=1", "uv run main.py a=1"),
        ("poetry run python main.py a=1", "poetry run python main.py a=1"),
        ("python main.py \\\n   a=1", "python main.py a=1"),
        ("nice -n 5 env A=2 python main.py a=1", "nice -n 5 env A=2 python main.py a=1"),
        ("exec python main.py a=1", "exec python main.py a=1"),
        ("time python main.py a=1 > out.txt 2>&1", "time python main.py a=1 > out.txt 2>&1"),
        ("python main.py a=1 | tee log.txt", "python main.py a=1 | tee log.txt"),
        ("python main.py > out.txt a=1 2> err.txt", "python main.py a=1 > out.txt 2> err.txt"),
        ("python prep.py | python main.py a=1", "python prep.py | python main.py a=1"),
        ("python prep.py | while read n; do python main.py a=1; done", ": | python main.py a=1"),
        ("python main.py a=1 | python prep.py && true", "python main.py a=1 | python prep.py && true"),
        ("cd pkg && python ../main.py a=1", "cd pkg && python ../main.py a=1"),
        ("(cd pkg; python ../main.py a=1)", "(cd pkg; python ../main.py a=1)"),
        ("if [ -d pkg ]; then python main.py a=1; fi", "python main.py a=1"),
        ("python main.py a=1 || exit 3", "python main.py a=1 || exit 3"),
    ],
)
def test_command_is_kept_as_it_is(words, line, command):
    words.submit(script(line))
    assert words.job(1).splitlines()[-1].removesuffix(" # python main.py b=2") == command


def test_loop_becomes_one_command_per_turn(words):
    words.submit(script("for s in 1 2; do\n  for t in a b; do python main.py seed=$s tag=$t,x; done\ndone"))
    assert len(words.app.log_ids()) == 8
    assert words.job(3).splitlines()[-1] == "python main.py seed=1 tag=b"
    assert "for" not in words.job(3)


def test_command_in_a_loop_gets_the_values_of_its_turn(words):
    body = (
        'for s in 1 2; do\n  export SEED=$s; CUDA_VISIBLE_DEVICES=$s nice -n "$s" python main.py seed=$s > out_$s\ndone'
    )
    words.submit(script(body))
    facts = ran(words, 2)
    assert (facts["env"]["SEED"], facts["env"]["CUDA_VISIBLE_DEVICES"], facts["words"]) == ("2", "2", ["seed=2"])
    assert "nice -n 2 python" in words.job(2)


def test_function_becomes_what_it_did(words):
    words.submit(script('train() { cd pkg; python ../main.py "$@" b=$1; }\ntrain a=1\ntrain a=2 c=3'))
    facts = ran(words, 2)
    assert facts["words"] == ["a=2", "c=3", "b=a"] or facts["words"] == ["a=2", "c=3", "b=a=2"]
    assert facts["cwd"].endswith("pkg")


def test_arrays_and_substitutions_are_expanded_once(words):
    words.submit(script('options=(a=1 "b=x y")\npython main.py "${options[@]}" c=$(echo 3) d={4,5}'))
    assert ran(words, 1)["words"] == ["a=1", "b=x y", "c=3", "d=4", "d=5"]


def test_other_commands_stay_where_they_are(words):
    body = """\
ENVIRONMENT=$PWD/my env
source ./python3/activate 2> /dev/null || export ACTIVE=no
echo "using python 3"
VALUE='a  b'
export VALUE
python main.py a=1
echo MID
python main.py a=2
# a comment on python main.py
echo POST"""
    words.submit(script(body.replace("my env", "env")))
    kept = [line for line in words.job(2).splitlines() if line in body.replace("my env", "env").splitlines()]
    assert kept == [line for line in body.replace("my env", "env").splitlines() if line != "python main.py a=1"]
    assert ran(words, 2)["env"]["VALUE"] == "a  b"


@pytest.mark.parametrize(
    "line",
    [
        "python prep.py > data || exit 1",
        "for n in 1 2; do python prep.py > data; done",
        "prepare() { python prep.py | tee data; }\nprepare",
        "python main.py a=2 > data && python main.py a=3 | tee data; true",
    ],
)
def test_file_that_another_command_has_written_is_left_alone(words, line):
    words.submit(script(f"{line}\npython main.py a=1"))
    (words.directory / "data").write_text("precious", encoding="utf-8")
    ran(words, words.app.log_ids()[-1])
    assert (words.directory / "data").read_text(encoding="utf-8") == "precious"


def test_program_whose_output_nobody_takes_in_the_plan_may_fail_there(words):
    line = """python -c 'print("x" * 10**6)' | python main.py a=1"""
    words.submit(script(line))
    assert words.commands() == [line]


def test_program_has_not_failed_where_the_next_one_of_its_pipeline_wants_no_more(words):
    words.submit(script("""python -c 'print("x\\n" * 10**6)' | head -n 1\npython main.py a=1"""))
    assert words.commands() == ["python main.py a=1"]
    failing = words.mlxpsub(words.write(script("python -c 'exit(3)' | cat\npython main.py a=1")).name)
    assert "failed with exit code 3" in failing.stderr


def test_pipeline_of_other_programs_is_taken_out_once(words):
    words.submit(script("python prep.py | python prep.py\necho one\npython main.py a=1"))
    assert words.job(1).splitlines()[-3:] == [
        f"export MLXP_RUN_DIRECTORY={words.directory}/logs/1",
        "echo one",
        "python main.py a=1",
    ]


def test_script_that_copies_all_that_it_prints_comes_to_its_end(words):
    words.submit(script("set -e\nexec > >(tee all.log) 2>&1\npython main.py a=1 &\npython main.py a=2 &\nfalse &"))
    assert ran(words, 2)["words"] == ["a=2"]


def test_module_with_python_in_its_name_is_loaded_in_the_jobs(words):
    words.submit(
        script('module() { echo "loading $2"; }\nmodule load python/3.11\nmodule load python\npython main.py a=1')
    )
    assert words.run_job(1).stdout == "loading python/3.11\nloading python\n"


def test_other_python_program_runs_once_and_is_told_about(words):
    result = words.submit(script("python prep.py x\npython main.py a=1,2"))
    assert "line 3: python prep.py x: not an MLXP program" in result.stderr
    ran(words, 1)
    assert (words.directory / "prepared").read_text(encoding="utf-8") == "once\n"


def test_output_of_another_python_program_is_an_option(words):
    words.submit(script("N=$(python prep.py)\npython main.py a=$N b=$(python prep.py 8)"))
    assert words.commands() == ["python main.py a=7 b=8"]


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("python -c 'exit(3)' || export VALUE=7", "false || export VALUE=7"),
        (
            "if python -c 'exit(3)'; then VALUE=1; else export VALUE=7; fi",
            "if false; then VALUE=1; else export VALUE=7; fi",
        ),
        ("export VALUE=6\nuntil python again.py; do export VALUE=7; done; export VALUE=7", "until :; do"),
    ],
)
def test_script_may_look_whether_another_program_fails(words, line, kept):
    words.write(
        "import os, sys\nif not os.path.exists('again'):\n    open('again', 'w')\n    sys.exit(1)\n", "again.py"
    )
    words.submit(script(f"{line}\npython main.py a=1"))
    assert kept in words.job(1)
    assert ran(words, 1)["env"]["VALUE"] == "7"


def test_program_of_mlxp_that_fails_is_not_forgiven(make_desk):
    desk = make_desk("quickstart", "SLURM")
    result = desk.mlxpsub(desk.write(script("python main.py sed=1 || true\npython main.py seed=1")).name)
    assert (result.returncode, "line 3: python main.py sed=1: failed" in result.stderr) == (1, True)


def test_trace_of_a_script_shows_little_of_the_plan(words):
    result = words.submit(script("set -x\nfor a in 1 2; do python main.py a=$a; done\necho end"))
    assert len(result.stderr.splitlines()) < 10
    assert "+ echo end" in result.stderr


def test_program_that_fails_in_plan_mode_submits_nothing(words):
    result = words.mlxpsub(words.write(script("python main.py a=1\npython nowhere.py a=1")).name)
    assert result.returncode == 1
    assert "line 4: python nowhere.py a=1: failed with exit code 2, as it says above" in result.stderr
    assert words.app.log_ids() == []


def test_script_that_stops_before_its_end_submits_nothing(words):
    result = words.mlxpsub(words.write(script("python main.py a=1\nset -e\nfalse\npython main.py a=2")).name)
    assert "ended with exit code 1 before its last line" in result.stderr
    assert words.app.log_ids() == []


@pytest.mark.parametrize("where", ["on the command line", "in the configuration"])
def test_sweeper_that_needs_results_is_refused_in_one_sentence(make_desk, where):
    desk = make_desk("quickstart", "SLURM")
    choice = "hydra/sweeper=optuna"
    if where == "in the configuration":
        desk.write("defaults:\n- override hydra/sweeper: optuna\n- _self_\nseed: 0\n", "configs/config.yaml")
        choice = ""
    result = desk.mlxpsub(desk.write(script(f"python main.py {choice} 'seed=range(0,9)'")).name)
    assert result.returncode == 1
    assert "hydra/sweeper=optuna chooses each run by the results of earlier ones" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (desk.directory / "logs").exists()


def test_basic_sweeper_is_replaced_by_the_one_that_reports(make_desk):
    desk = make_desk("quickstart", "SLURM")
    desk.submit(script("python main.py hydra/sweeper=basic seed=1,2"))
    assert desk.commands() == [f"python main.py hydra/sweeper=basic seed={seed}" for seed in (1, 2)]


@pytest.mark.parametrize("container", ["apptainer", "singularity"])
def test_container_that_clears_the_environment_lets_the_run_find_its_directory(words, container):
    prefix = f"{container.upper()}ENV_"
    file = words.write(
        "#!/bin/bash\n"
        '[ "$1 $2 $3" = "exec --cleanenv image.sif" ] || exit 9\n'
        "shift 3\n"
        f'inside=(); for name in ${{!{prefix}@}}; do inside+=("${{name#{prefix}}}=${{!name}}"); done\n'
        'exec env -i PATH="$PATH" PYTHONPATH="$PYTHONPATH" "${inside[@]}" "$@"\n',
        f"bin/{container}",
    )
    file.chmod(0o755)
    words.env["PATH"] = f"{file.parent}:{words.env['PATH']}"
    words.submit(script(f"{container} exec --cleanenv image.sif python main.py a=1,2"))
    assert ran(words, 2)["words"] == ["a=2"]


@pytest.mark.parametrize(
    ("launcher", "addition"),
    [
        ("docker run image", "add -e MLXP_RUN_DIRECTORY to its options"),
        ("env -i A=1", "add MLXP_RUN_DIRECTORY=$MLXP_RUN_DIRECTORY to its options"),
        ("sudo", "add --preserve-env=MLXP_RUN_DIRECTORY to its options"),
    ],
)
def test_launcher_that_hides_the_environment_is_said_before_anything_is_created(words, launcher, addition):
    result = words.mlxpsub(words.write(script(f"{launcher} python main.py a=1")).name)
    assert result.returncode == 1
    assert addition in result.stderr
    assert words.app.log_ids() == []
    added = addition.removeprefix("add ").removesuffix(" to its options")
    words.submit(script(f"{launcher.replace(' image', '')} {added} python main.py a=1"))


def test_unknown_launcher_is_said(words):
    launcher = words.write('#!/bin/sh\nexec "$@"\n', "my_launcher")
    launcher.chmod(0o755)
    result = words.mlxpsub(words.write(script("./my_launcher python main.py a=1")).name)
    assert "write the python command itself" in result.stderr
    assert words.app.log_ids() == []


def test_script_without_a_program_of_mlxp_is_said(words):
    result = words.mlxpsub(words.write(script("python prep.py")).name)
    assert "starts no MLXP program" in result.stderr


def test_own_program_named_like_a_word_in_a_note_is_no_run(words):
    words.submit(script('echo "python main.py a=9"\ncat main.py > copy_of_python_main.py\npython main.py a=1'))
    assert len(words.app.log_ids()) == 1


def test_job_may_ask_for_the_process_of_another_run_in_the_background(words):
    words.submit(script("set -u\npython main.py a=1 &\nfirst=$!\npython main.py a=2 &\nwait $first $!"))
    assert ran(words, 2)["words"] == ["a=2"]


def test_patterns_of_bash_are_no_mistake(words):
    words.submit(script("shopt -s extglob\necho !(x).yaml\npython main.py a=1"))
    assert ran(words, 1)["words"] == ["a=1"]


def test_commands_in_the_background_are_runs(words):
    words.submit(script("python main.py a=1 &\npython main.py a=2 &\nwait"))
    assert ran(words, 2)["words"] == ["a=2"]


def test_commands_in_the_background_are_numbered_as_they_stand(words):
    words.submit(script("for s in 1 2 3 4; do\n  (python main.py a=$s; python main.py b=$s) &\ndone\nwait"))
    assert words.commands() == [f"python main.py {key}={s}" for s in (1, 2, 3, 4) for key in "ab"]


def test_python_is_looked_for_as_elsewhere(words):
    words.submit(script("command -v python > /dev/null || exit 1\npython main.py a=1"))
    assert ran(words, 1)["words"] == ["a=1"]


def test_here_documents_are_no_commands(words):
    words.submit(script("cat > notes <<END\npython main.py a=9\n#SBATCH --nodes=9\nEND\npython main.py a=1"))
    assert "python main.py a=9" in words.job(1)
    assert len(words.app.log_ids()) == 1


def test_options_after_the_first_command_are_comments_to_slurm(words):
    words.submit(script("export A=1\n#SBATCH --nodes=9\n##SBATCH --no\npython main.py a=1"))
    head = words.job(1).partition("\ncd ")[0]
    assert "--nodes=9" not in head


def test_directory_with_spaces_and_quotes_is_no_problem(make_desk):
    desk = make_desk("words", "SLURM")
    strange = desk.directory.parent / 'it\'s a "place" & more'
    desk.directory.rename(strange)
    desk.directory = desk.app.directory = strange
    desk.submit(script("python main.py a=1"))
    assert ran(desk, 1)["cwd"] == str(strange)


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), max_size=5))
def test_quoted_words_reach_a_program_unchanged(words):
    line = "printf '%s\\0' " + " ".join(map(quoted, ["start", *words]))
    answer = subprocess.run(["bash", "-c", line], capture_output=True, check=True, env={"HOME": "/h"}).stdout
    assert answer.decode() == "\0".join(["start", *words]) + "\0"


NASTY = {
    "spaces": "two  words",
    "quotes": """it's "quoted" `here`""",
    "home": "$HOME and $(ls) and ${HOME}!",
    "signs": "; | & < > ( ) # ~ * ? [a] \\ % = ^",
    "unicode": "né à 東京 🚀",
    "lines": "one\ntwo\ttab",
    "empty": "",
    "number": "007",
    "list": [1, "a b", [None, True]],
    "dict": {"lr": 0.1, "name": "it's"},
}


def test_strange_values_reach_the_configuration_unchanged(make_desk):
    desk = make_desk("quickstart", "SLURM")
    overrides = " ".join(shlex.quote(f"+{key}={hydra_text(value)}") for key, value in NASTY.items())
    desk.submit(script(f"python main.py {overrides} '+raw=${{model.name}}' seed=1,2"))
    job = desk.run_job(2)
    assert job.returncode == 0, job.stderr
    config = desk.app.config(2)
    assert {key: config[key] for key in NASTY} == NASTY
    assert (config["raw"], config["seed"]) == ("mlp", 2)


text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
values = st.recursive(
    text | st.integers() | st.booleans() | st.none() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b_c"]), inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=8, deadline=None)
@given(st.lists(values, min_size=6, max_size=12))
def test_any_value_reaches_the_configuration_as_it_does_without_a_scheduler(make_desk, several):
    desk = make_desk("quickstart", "SLURM")
    words = [f"+v{number}={hydra_text(value)}" for number, value in enumerate(several)]
    assert desk.app.run(*words).returncode == 0
    desk.submit(script(f"python main.py {shlex.join(words)}"))
    job = desk.run_job(2)
    assert job.returncode == 0, job.stderr
    assert desk.app.config(2) == desk.app.config(1)


def hydra_text(value):
    if isinstance(value, str):
        return QuotedString(value.replace("${", "\\${"), Quote.single).with_quotes()
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{hydra_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(hydra_text, value)) + "]"
    return json.dumps(value)

"""``mlxp table``, ``show``, ``diff`` and ``plot`` on the runs of a real program, as a user calls them."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tabulate import tabulate_formats

import mlxp
from mlxp.commands.main import main

SWEEP = ("optimizer.lr=0.1,0.5", "seed=1,2,3", "mlxp.logger.log_streams_to_file=true")
RECORDED = Path(__file__).parents[2] / "data/mlxp-1.0.5-logs/logs"


@pytest.fixture(scope="module")
def training(copy_app, tmp_path_factory):
    """Six runs over two learning rates and three seeds; then one that fails, and one with packages of its own."""
    app = copy_app("training", tmp_path_factory.mktemp("runs"))
    assert app.run(*SWEEP).returncode == 0
    assert app.run("fail=true", "mlxp.logger.log_streams_to_file=true").returncode == 1
    return app


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    """The runs recorded with MLXP 1.0.5."""
    return str(shutil.copytree(RECORDED, tmp_path_factory.mktemp("old") / "logs"))


@pytest.fixture
def call(training, monkeypatch, capsys):
    """Calls the command where the runs are; returns its exit code and what it printed."""
    monkeypatch.chdir(training.directory)
    monkeypatch.setenv("MPLBACKEND", "agg")

    def run(*arguments):
        code = main(arguments)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


@pytest.fixture
def answer(call):
    """What the command prints if all goes well."""

    def of(*arguments):
        code, out, err = call(*arguments)
        assert (code, err) == (0, "")
        return out

    return of


@pytest.fixture
def complaint(call):
    """The one sentence by which the command says what is wrong."""

    def of(*arguments):
        code, out, err = call(*arguments)
        assert (code, out) == (1, "")
        return err

    return of


@pytest.fixture
def program(training):
    """Runs the command as a program of its own."""
    command = [sys.executable, "-c", "import sys; from mlxp.commands.main import main; sys.exit(main())"]

    def run(*arguments, **environment):
        return subprocess.run(
            [*command, *arguments],
            cwd=training.directory,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )

    return run


def rows(text):
    return [line.split() for line in text.splitlines()]


def test_table_shows_the_id_what_varies_and_the_status(answer):
    head, _, first, *_ = rows(answer("table"))
    assert head == ["log_id", "seed", "optimizer.lr", "fail", "status"]
    assert first == ["1", "1", "0.1", "False", "COMPLETE"]


def test_table_has_the_columns_asked_for_under_the_names_they_were_asked_by(answer):
    table = answer("table", "-c", "log_id,config.seed, optimizer.lr,val.loss.min,status", "-q", "seed == 3")
    head, _, *body = rows(table)
    assert head == ["log_id", "config.seed", "optimizer.lr", "val.loss.min", "status"]
    assert body == [["3", "3", "0.1", "0.759", "COMPLETE"], ["6", "3", "0.5", "0.155", "COMPLETE"]]


def test_table_is_sorted_by_a_statistic_which_it_shows(answer):
    losses = [float(row["val.loss.last"]) for row in csv_of(answer("table", "--sort", "val.loss.last", "-f", "csv"))]
    assert losses == sorted(losses)


def csv_of(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_table_is_sorted_by_several_columns_and_backwards(answer):
    table = csv_of(answer("table", "--sort", "optimizer.lr,seed", "--descending", "-f", "csv"))
    assert [row["log_id"] for row in table] == ["6", "5", "4", "3", "2", "1", "7"]


@pytest.mark.parametrize("form", tabulate_formats)
def test_table_takes_every_format_of_tabulate(answer, form):
    assert "COMPLETE" in answer("table", "-f", form)


def test_table_in_csv_has_every_digit_and_lists_as_json(answer):
    row, *_ = csv_of(answer("table", "-f", "csv", "-c", "val.loss.last,model.layers,model.name"))
    assert row == {"val.loss.last": repr(0.9**5 + 0.01), "model.layers": "[64, 64]", "model.name": "μ | 007"}


@pytest.mark.parametrize("option", [["--json"], ["-f", "json"]])
def test_table_in_json_is_a_list_of_objects(answer, option):
    table = json.loads(answer("table", "-c", "log_id,model.layers,fail,val.loss.max", *option))
    assert table[0] == {"log_id": 1, "model.layers": [64, 64], "fail": False, "val.loss.max": 1.01}


def test_table_of_mlxp_1_has_no_key_where_a_run_has_nothing(answer, old):
    columns = "log_id,extra.depth,data.path,train.grad.last"
    table = json.loads(answer("table", "--logs", old, "-c", columns, "--json"))
    assert table[9] == {"log_id": 10, "extra.depth": 3, "train.grad.last": "inf"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["table", "-c", "optimizer.lrr"], "there is no field 'optimizer.lrr'; did you mean config.optimizer.lr?"),
        (["table", "-c", "lr"], "there is no field 'lr'; did you mean config.optimizer.lr?"),
        (["table", "-c", "optimizer"], "there is no field 'optimizer'; did you mean config.optimizer.lr?"),
        (["table", "--sort", "val.los.last"], "did you mean val.loss.last"),
        (["table", "-c", "val.loss"], "'val.loss' has one value per record; a query or table takes one of"),
        (["table", "-q", "seed =="], "cannot read the query: expected a value"),
        (["table", "-q", "seed == 9"], "no run in logs matches seed == 9"),
        (["show", "99"], "there is no run 99 in "),
        (["diff", "1", "98", "99"], "there is no run 98 and no run 99 in "),
        (["diff", "1", "1"], "run 1 is compared with itself; name two different runs"),
        (["plot", "val.los", "-o", "a.png"], "there is no metric 'val.los'; did you mean val.loss"),
        (["plot", "loss", "-o", "a.png"], "there is no metric 'loss'; did you mean val.loss"),
        (["plot", "val.loss", "-o", "a.png", "--hue", "lr"], "did you mean config.optimizer.lr?"),
        (["plot", "val.loss", "-o", "a.png", "--hue", "optimizer"], "did you mean config.optimizer.lr?"),
        (["plot", "val.loss", "-o", "a.png", "--smooth", "2"], "smooth is a number from 0"),
        (["plot", "val.loss", "-o", "a.xls"], "the ending of a.xls is not a picture format; the formats are .avif, "),
        (["plot", "val.loss", "-o", "no/where/a.png"], "cannot write no/where/a.png: "),
    ],
)
def test_what_is_wrong_is_one_sentence(complaint, arguments, words):
    said = complaint(*arguments)
    assert said.startswith("mlxp: ")
    assert words.removesuffix(".avif, ") in said


def test_wrong_query_is_shown_with_its_place(complaint):
    assert complaint("table", "-q", "seed ==== 3").splitlines()[1:] == ["    seed ==== 3", "           ^"]


@pytest.mark.parametrize("verb", [["table"], ["show", "1"], ["diff", "1", "2"], ["plot", "val.loss", "-o", "a.png"]])
def test_directory_that_is_missing_or_has_no_runs_is_told(complaint, tmp_path, verb):
    assert f"there is no directory {tmp_path / 'no'}; name" in complaint(*verb, "--logs", str(tmp_path / "no"))
    assert f"there are no runs in {tmp_path}; name" in complaint(*verb, "--logs", str(tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["table", "-f", "excel"], "there is no format 'excel'; there are asciidoc, "),
        (["table", "-c", ","], "no name is given"),
        (["diff", "1"], "the following arguments are required: ID"),
        (["plot", "val.loss"], "the following arguments are required: -o/--output"),
        (["plot", "val.loss", "-o", "a.pdf", "--band", "wide"], "invalid choice: 'wide'"),
        (["tables"], "invalid choice: 'tables'"),
    ],
)
def test_wrong_usage_has_exit_code_2(capsys, arguments, words):
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert words in capsys.readouterr().err


def test_show_tells_all_about_a_run(answer):
    shown = answer("show", "4")
    assert shown.startswith("run 4  COMPLETE  logs/4\nstarted    2")
    assert "main.py optimizer.lr=0.5 seed=1 mlxp.logger.log_streams_to_file=true\n" in shown
    assert "\n  optimizer:\n    lr: 0.5\n" in shown
    assert ["val.loss", "0.04125", "0.04125", "1.01", "6"] in rows(shown)
    assert "\nartifacts\n  artifacts/pickle/checkpoint.pkl\n" in shown
    assert "problem" not in shown


def test_show_tells_why_a_run_failed_and_where_its_errors_are(answer):
    shown = answer("show", "7")
    assert "\nproblem\n" in shown
    assert "RuntimeError: the loss is no number\n  see logs/7/log.stderr\n" in shown


def test_show_tells_how_to_keep_errors_where_there_are_none(answer, old):
    shown = answer("show", "9", "--logs", old)
    assert "the run did not record why" in shown
    assert "log.stderr: mlxp.logger.log_streams_to_file=true writes it" in shown


def test_show_in_json_has_the_same(answer):
    shown = json.loads(answer("show", "7", "--json"))
    assert (shown["log_id"], shown["status"], shown["config"]["model"]["layers"]) == (7, "FAILED", [64, 64])
    assert shown["metrics"]["val.loss"]["count"] == 6
    assert shown["artifacts"] == ["artifacts/pickle/checkpoint.pkl"]
    assert shown["traceback"].endswith("RuntimeError: the loss is no number")
    assert shown["stderr"] == "logs/7/log.stderr"


@pytest.mark.parametrize("log_id", range(1, 13))
def test_show_takes_every_run_of_mlxp_1(answer, old, log_id):
    assert "note: héllo, wörld" in answer("show", str(log_id), "--logs", old)


def test_diff_tells_what_differs_and_nothing_else(answer):
    assert rows(answer("diff", "1", "5")) == [
        ["run", "1", "run", "5"],
        ["config.seed", "1", "2"],
        ["config.optimizer.lr", "0.1", "0.5"],
        ["val.loss.last", "0.60049", "0.05125"],
    ]


def test_diff_says_so_if_nothing_differs(answer, training):
    for _ in range(2):
        assert training.run("mlxp.logger.parent_log_dir=twice").returncode == 0
    said = answer("diff", "1", "2", "--logs", "twice")
    assert said == "runs 1, 2 do not differ in configuration, code, packages and last metrics\n"


def test_diff_compares_status_code_python_and_packages(answer, training):
    file = training.directory / "logs/2/metadata/info.yaml"
    before = file.read_text(encoding="utf-8")
    changed = before.replace("git: null", "git: {commit: abc, dirty: true}").replace("- mlxp==", "- mlxp==9.")
    file.write_text(changed, encoding="utf-8")
    differing = json.loads(answer("diff", "2", "7", "--json"))
    file.write_text(before, encoding="utf-8")
    assert differing["info.status"] == {"2": "COMPLETE", "7": "FAILED"}
    assert differing["info.git.commit"] == {"2": "abc"}
    assert differing["package mlxp"] == {"2": f"9.{mlxp.__version__}", "7": mlxp.__version__}


def test_diff_marks_what_a_run_lacks(answer, old):
    assert ["config.data.path", "–", "/data/my", "set"] in rows(answer("diff", "1", "11", "--logs", old))


def test_diff_tells_none_from_what_a_run_lacks(answer, training):
    file = training.directory / "logs/2/metadata/config.yaml"
    before = file.read_text(encoding="utf-8")
    file.write_text(f"{before}act: null\n", encoding="utf-8")
    differing = json.loads(answer("diff", "1", "2", "--json"))
    file.write_text(before, encoding="utf-8")
    assert differing["config.act"] == {"2": None}


@pytest.mark.parametrize("ending", ["pdf", "png", "svg", "PDF"])
def test_plot_writes_the_format_that_the_ending_tells(answer, training, ending):
    answer("plot", "val.loss", "--hue", "optimizer.lr", "--over", "seed", "-q", "fail == false", "-o", f"fig.{ending}")
    start = (training.directory / f"fig.{ending}").read_bytes()[:60]
    assert {"pdf": b"%PDF", "png": b"\x89PNG", "svg": b"<?xml"}[ending.lower()] in start


def test_plot_draws_what_plot_metric_does(program, training):
    query = ["-q", "seed != 1"]
    options = ["--hue", "optimizer.lr", "--over", "seed", "--band", "none", "--x", "time", "--smooth", "0.5", "--logy"]
    assert program("plot", "val.loss", *query, *options, "-o", "a.svg", MPLBACKEND="").returncode == 0
    picture = (training.directory / "a.svg").read_text(encoding="utf-8")
    assert ">time</text>" in picture
    assert ">0.5 (n=2→1)</text>" in picture


def test_plot_gives_each_combination_of_several_keys_a_colour(answer, training):
    answer("plot", "val.loss", "--hue", "optimizer.lr, seed", "--row", "fail,model.layers", "-o", "two.svg")
    picture = (training.directory / "two.svg").read_text(encoding="utf-8")
    assert ">optimizer.lr, seed</text>" in picture
    assert ">0.5, 1</text>" in picture
    assert ">fail=False, model.layers=[64, 64]</text>" in picture


def test_plot_says_what_it_has_noticed_in_one_line(program):
    result = program("plot", "val.loss", "--hue", "optimizer.lr", "--over", "seed", "-o", "a.png")
    assert (result.returncode, result.stdout) == (0, "a.png: val.loss of 7 runs\n")
    assert result.stderr.startswith("mlxp: fail varies too, so several lines look alike")
    assert result.stderr.count("\n") == 1


def test_plot_of_nothing_writes_no_file(complaint, old, tmp_path):
    file = tmp_path / "none.png"
    said = complaint("plot", "train.grad", "--logs", old, "-q", "info.logger.log_id == 11", "-o", str(file))
    assert said == "mlxp: there is no value of train.grad to draw in 1 run\n"
    assert not file.exists()


@pytest.fixture
def damaged(old, tmp_path):
    """The runs of MLXP 1.0.5, with a configuration and a line of metrics that cannot be read."""
    logs = shutil.copytree(old, tmp_path / "damaged", ignore=shutil.ignore_patterns(".mlxp"))
    (logs / "3/metadata/config.yaml").write_text("a: [", encoding="utf-8")
    metrics = logs / "4/metrics/train.json"
    metrics.write_text(f"nonsense\n{metrics.read_text(encoding='utf-8')}", encoding="utf-8")
    return logs


def test_show_tells_what_of_a_run_cannot_be_read(call, damaged):
    config = call("show", "3", "--logs", str(damaged))[1].partition("\ncould not be read\n")[2]
    assert config.startswith("  metadata/config.yaml")
    metrics = json.loads(call("show", "4", "--logs", str(damaged), "--json")[1])
    assert metrics["unreadable"][0].startswith("metrics/train.json, line 1: ")
    assert metrics["metrics"]["train.loss"]["count"] > 0


def test_file_that_cannot_be_read_is_told_in_one_line_beside_the_table(call, damaged):
    code, out, err = call("table", "--logs", str(damaged), "-f", "csv")
    assert (code, len(csv_of(out))) == (0, 12)
    assert err == f"mlxp: 1 problem in the runs of {damaged}: Reader.problems lists them\n"


def test_plot_without_matplotlib_tells_how_to_install_it(complaint, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    said = complaint("plot", "val.loss", "-o", "a.pdf")
    assert said == "mlxp: plots need matplotlib; install it with: pip install 'mlxp[plot]'\n"


def test_command_alone_prints_help(program):
    result = program()
    assert (result.returncode, result.stdout) == (0, program("--help").stdout)


def test_version_is_that_of_the_package(program):
    assert program("--version").stdout == f"mlxp {mlxp.__version__}\n"


def test_help_loads_neither_pandas_nor_hydra():
    code = (
        "import sys; from mlxp.commands.main import parser; parser().format_help();"
        "print({'pandas', 'numpy', 'hydra', 'pyarrow', 'yaml'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False).stdout == "set()\n"


def test_closed_pipe_ends_the_command_in_silence(training):
    command = (
        f"'{sys.executable}' -c 'import sys; from mlxp.commands.main import main; sys.exit(main())' show 1 | head -n 1"
    )
    result = subprocess.run(
        ["bash", "-c", command], cwd=training.directory, capture_output=True, text=True, check=False
    )
    assert result.stdout.startswith("run 1  COMPLETE")
    assert result.stderr == ""


def test_text_that_the_output_cannot_encode_does_not_end_the_command(program):
    result = program("table", "-c", "model.name", PYTHONIOENCODING="ascii")
    assert (result.returncode, result.stderr) == (0, "")
    assert r"\u03bc | 007" in result.stdout


@pytest.fixture
def terminal(training):
    """Runs the command in a terminal, and returns what that gets to see."""
    pty = pytest.importorskip("pty", reason="without terminals, NO colour is tested")

    def run(*arguments, **environment):
        parent, child = pty.openpty()
        code = "import sys; from mlxp.commands.main import main; sys.exit(main())"
        options = {"cwd": training.directory, "env": os.environ | environment, "stdout": child}
        result = subprocess.run([sys.executable, "-c", code, *arguments], check=True, **options)
        os.close(child)
        assert result.returncode == 0
        with os.fdopen(parent, "rb") as shown:
            return shown.read1(1 << 16).decode()

    return run


@pytest.mark.parametrize("verb", [["table"], ["show", "1"], ["status", "seed == 1"]])
def test_terminal_shows_the_status_in_colour(terminal, verb):
    assert "\033[32mCOMPLETE" in terminal(*verb)


@pytest.mark.parametrize("verb", [["table"], ["show", "1"], ["status", "seed == 1"]])
def test_no_color_is_respected_and_so_are_pipes(terminal, program, verb):
    assert "\033" not in terminal(*verb, NO_COLOR="1")
    assert "\033" not in program(*verb).stdout


def test_table_for_a_paper_has_no_colours_in_a_terminal_either(terminal):
    assert "\033" not in terminal("table", "-f", "latex")

"""``mlxp status``, ``output``, ``cancel`` and ``resubmit`` on runs that no scheduler knows of.

What they do about jobs is tested with stand-ins for the schedulers in test_submission.py, and with real ones in
tests/schedulers.
"""

import json

import pytest

from mlxp.commands.main import main


@pytest.fixture(scope="module")
def training(copy_app, tmp_path_factory):
    """Two runs, of which the second failed; their streams are kept."""
    app = copy_app("training", tmp_path_factory.mktemp("training"))
    assert app.run("fail=false,true", "mlxp.logger.log_streams_to_file=true").returncode == 1
    return app


@pytest.fixture
def call(training, monkeypatch, capfdbinary):
    """Calls the command where the runs are; returns its exit code and what it printed."""
    monkeypatch.chdir(training.directory)

    def run(*arguments):
        code = main(arguments)
        out, err = capfdbinary.readouterr()
        return code, out.decode(), err.decode()

    return run


def test_status_counts_the_runs_and_names_those_that_are_not_complete(call):
    code, out, _ = call("status")
    summary, failed = out.splitlines()
    assert code == 0
    assert summary == "2 runs in logs: 1 COMPLETE, 1 FAILED"
    assert failed.split(maxsplit=2) == ["2", "FAILED", "RuntimeError: the loss is no number"]


def test_status_of_chosen_runs_in_json(call):
    (run,) = json.loads(call("status", "info.status == 'FAILED'", "--json")[1])
    assert (run["log_id"], run["status"], run["reason"]) == (2, "FAILED", "RuntimeError: the loss is no number")


@pytest.mark.parametrize("options", [[], ["--follow"]])
def test_output_is_what_the_run_has_printed_as_errors(call, options):
    code, out, err = call("output", "2", "--stderr", *options)
    assert (code, out.splitlines()[0], err) == (0, "about to fail", "")


def test_output_of_a_run_that_is_not_there_is_told(call):
    assert call("output", "9") == (1, "", "mlxp: there is no run 9 in logs\n")


def test_runs_without_jobs_have_none_to_cancel(call):
    assert call("cancel", "seed > 0")[:2] == (0, "cancelled the jobs of 0 runs; none of these has a job in progress\n")


def test_runs_without_jobs_are_not_submitted_again(call):
    assert call("resubmit")[:2] == (0, "no run to submit\n")
    code, out, _ = call("resubmit", "fail == false")
    assert (code, out) == (1, "run 1: not submitted: it was not submitted by mlxpsub\n")


@pytest.mark.parametrize("verb", [["status"], ["cancel", "seed > 0"], ["resubmit"], ["output", "1"]])
def test_missing_directory_is_told(call, verb):
    code, out, err = call(*verb, "--logs", "no")
    assert (code, out) == (1, "")
    assert err.startswith("mlxp: there is no ")


def test_wrong_query_is_told_with_its_place(call):
    code, _, err = call("status", "seed ==== 3")
    assert (code, err.splitlines()[1:]) == (1, ["    seed ==== 3", "           ^"])

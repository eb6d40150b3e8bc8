"""Whatever a task raises, puts into its info or does to its streams: what is written last is true, and can be read."""

import os
import signal
import subprocess
import sys

import pytest
import yaml

from mlxp.run_directory.files import to_yaml
from mlxp.running.storable import storable

FAILING = {
    "surrogate": r"ValueError: caf\udce9.png",
    "without-text": "WithoutTextError: (no text: str() raised ValueError)",
    "with-exit": "WithExitError: (no text: str() raised SystemExit)",
    "with-number": "WithNumberError: (no text: str() raised TypeError)",
    "huge": f"ValueError: {'x' * 1000}… (9999000 more characters)",
    "lines": "ValueError: " + ("line\n" * 200) + "… (4999000 more characters)",
    "group": "ExceptionGroup: two (2 sub-exceptions)",
    "exit-oddly": "sys.exit((no text: repr() raised ValueError))",
    "exit-true": "sys.exit(True)",
    "generator-exit": "GeneratorExit",
}


@pytest.fixture
def endings(app):
    return app("endings")


@pytest.fixture(scope="module")
def swept(copy_app, tmp_path_factory):
    """All failures in one sweep, between two runs that return."""
    program = copy_app("endings", tmp_path_factory.mktemp("sweep"))
    program.result = program.run(f"action=value,{','.join(FAILING)},damage,clear,value", "mlxp.heartbeat=0")
    return program


@pytest.mark.parametrize(("number", "action"), list(enumerate(FAILING, start=2)))
def test_reason_of_a_failure_can_be_written_and_read_whatever_the_exception_is(swept, number, action):
    info = swept.info(number)
    assert info["status"] == "FAILED"
    assert info["exit"]["reason"] == FAILING[action]
    assert info["exit"]["code"] == 1
    assert len(to_yaml(info)) < 30_000


def test_sweep_goes_on_after_every_failure_and_tells_them_all(swept):
    assert swept.result.returncode == 1
    assert swept.statuses() == ["COMPLETE", *["FAILED"] * len(FAILING), "COMPLETE", "COMPLETE", "COMPLETE"]
    assert f"{len(FAILING)} of {len(FAILING) + 4} runs failed:" in swept.result.stderr
    assert len(swept.result.stderr) < 10**7 + 6 * 10**6  # the text is printed once, as it is


def test_task_that_damages_its_info_spoils_nothing_that_is_known_of_the_run(swept):
    damaged, cleared, untouched = (swept.info(len(FAILING) + number) for number in (2, 3, 4))
    assert list(cleared) == list(untouched)
    assert damaged["exit"] == cleared["exit"] == untouched["exit"]
    assert damaged["started_at"] < damaged["ended_at"]
    assert damaged["mine"] == {"note": 5}
    assert damaged["object"] == "(WithoutText, which cannot be shown: ValueError)"
    assert damaged["number"] == "a whole number of 16610 bits"
    assert len(damaged["text"]) < 60_000


@pytest.mark.parametrize("action", ["interrupted", "interrupted-group"])
def test_interruption_is_one_by_any_name(endings, action):
    result = endings.run(f"action={action}")
    assert (result.returncode, endings.info()["status"]) == (130, "KILLED")
    assert endings.info()["exit"]["signal"] == "SIGINT"


def test_status_is_written_while_the_text_of_the_exception_is_still_being_made(endings):
    process = endings.start("action=slow")
    endings.wait_for("logs/1/metadata/info.yaml")
    for _ in range(600):
        if endings.info()["status"] == "FAILED":
            break
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.1)
    process.kill()
    process.communicate()
    assert endings.info()["exit"] == {"reason": "SlowError", "code": 1, "signal": None, "traceback": None}


def test_single_failure_with_a_huge_text_ends_soon(endings):
    command = endings.command("action=huge")
    result = subprocess.run(
        command, cwd=endings.directory, check=False, timeout=30, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    assert (result.returncode, endings.info()["status"]) == (1, "FAILED")


def test_status_is_true_when_closing_the_logger_is_interrupted(endings):
    assert endings.run("mlxp.logger.name=main.ClosingBadly").returncode == 130
    assert endings.info()["status"] == "COMPLETE"


def test_run_whose_logger_tells_nothing_is_not_starting_for_ever(endings):
    result = endings.run("mlxp.logger.name=main.TellingBadly")
    assert (result.returncode, endings.info()["status"]) == (1, "FAILED")
    assert endings.info()["exit"]["reason"] == "RuntimeError: no info"


def test_what_a_logger_tells_is_cut_and_can_be_read(endings):
    assert endings.run("mlxp.logger.name=main.TellingOddly").returncode == 0
    told = endings.info()["logger"]
    assert (told["odd"], told["log_id"]) == (r"caf\udce9", 1)
    assert told["object"] == "(WithoutText, which cannot be shown: ValueError)"
    assert len(told["many"]) < 60_000


@pytest.mark.parametrize("action", ["without-output", "close-output"])
@pytest.mark.parametrize("seeds", ["number=0", "number=0,1"])
def test_task_may_take_its_streams_away(endings, action, seeds):
    result = endings.run(f"action={action}", seeds, "mlxp.logger.log_streams_to_file=true")
    assert (result.returncode, set(endings.statuses())) == (0, {"COMPLETE"}), result.stderr


def test_names_that_are_no_text_are_refused_before_anything_is_created(endings):
    result = endings.run("action=value", b"+file='caf\xe9.png'", "number=1,2")
    assert result.returncode == 1
    assert r"the value of file holds bytes that are not UTF-8 text" in result.stderr
    assert not (endings.directory / "logs").exists()


def test_words_are_utf_8_in_a_locale_that_knows_none(endings):
    env = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    result = endings.run("+note='日本'", "number=1,2", env=env)
    assert result.returncode == 0, result.stderr
    assert endings.config()["note"] == "日本"
    assert r"+note='\u65e5\u672c'" in result.stdout


@pytest.mark.parametrize(
    ("redirection", "encoding"),
    [("", "latin-1"), ("| true", "utf-8"), ("> /dev/full", "utf-8"), (">&-", "utf-8"), (">&- 2>&-", "utf-8")],
)
@pytest.mark.parametrize("streams", ["true", "false"])
def test_sweep_whose_runs_are_complete_ends_well_whatever_becomes_of_its_output(
    endings, redirection, encoding, streams
):
    words = [
        *endings.command("action=value", "+note='日本'"),
        "number=0,1",
        f"mlxp.logger.log_streams_to_file={streams}",
    ]
    quoted = " ".join('"' + word + '"' for word in words)
    env = {**os.environ, "PYTHONIOENCODING": encoding}
    result = subprocess.run(
        ["bash", "-c", f"{quoted} {redirection}; exit ${{PIPESTATUS[0]}}"],
        cwd=endings.directory,
        env=env,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (result.returncode, result.stderr) == (0, b"")
    assert endings.statuses() == ["COMPLETE", "COMPLETE"]


@pytest.mark.parametrize("size", ["8k", "12k", "16k", "20k", "24k", "32k"])
def test_run_on_a_disk_that_is_full_from_the_start_is_not_starting_for_ever(endings, tmp_path, size):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", disk], capture_output=True, check=False
    )
    if mount.returncode != 0:
        pytest.skip("only root can make a small disk")
    try:
        result = endings.run(f"mlxp.logger.parent_log_dir={disk}")
        info = yaml.safe_load((disk / "1/metadata/info.yaml").read_text(encoding="utf-8"))
    finally:
        subprocess.run(["umount", disk], check=True)
    if result.returncode == 0:
        assert info["status"] == "COMPLETE"
    else:
        assert (info["status"], "No space left on device" in result.stderr) == ("FAILED", True)
        assert "No space left on device" in info["exit"]["reason"]


def test_signal_before_the_task_is_called_is_recorded(endings):
    (endings.directory / "slow_logger.py").write_text(
        "import mlxp, os, signal\n"
        "class Slow(mlxp.DefaultLogger):\n"
        "    def get_info(self):\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "        return super().get_info()\n",
        encoding="utf-8",
    )
    assert endings.run("mlxp.logger.name=slow_logger.Slow").returncode == 128 + signal.SIGTERM
    assert (endings.info()["status"], endings.info()["exit"]["signal"]) == ("KILLED", "SIGTERM")


def test_everything_storable_is_read_as_it_was_written():
    values = {"text": "a\nb\x00\x85\u2028\udce9", 1: (1, {2}, b"x"), None: 1e400, "deep": {}}
    inner = values["deep"]
    for _ in range(200):
        inner["deep"] = inner = {}
    stored = storable(values)
    assert yaml.safe_load(to_yaml(stored)) == stored
    assert len(storable({"many": list(range(10**6))})["many"]) < 30_000
    assert len(to_yaml(storable(["x" * 10**5] * 1000))) < 2 * 10**6


def test_run_records_when_its_process_began(endings):
    from mlxp.run_directory.liveness import is_gone, process_exists, process_start

    endings.run()
    info = endings.info()
    own = {**info, "process_id": os.getpid()}
    if sys.platform == "linux":
        assert info["process_start"] != process_start(os.getpid())
        # The number of the run's process may be another's now, as after a reboot.
        assert process_exists(os.getpid())
        assert is_gone(own)
    assert not is_gone({**own, "process_start": process_start(os.getpid())})
    assert not is_gone({**own, "process_start": None})

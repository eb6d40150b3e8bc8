"""Starting other programs: with nothing to read, within a time, and with an error that names what was started."""

import os
import sys
import time

import pytest

from mlxp.programs import ProgramError, run_program


def test_program_that_asks_gets_no_answer():
    assert (
        run_program([sys.executable, "-c", "print(repr(input.__self__.open(0).read()))"], seconds=60).output == "''\n"
    )


def test_program_reads_what_it_is_given():
    assert run_program(["cat"], seconds=60, given=b"caf\xe9\n").output == "caf\N{REPLACEMENT CHARACTER}\n"


def test_exit_code_is_an_answer_with_what_was_said_against_it():
    answer = run_program(["sh", "-c", "echo no >&2; exit 3"], seconds=60)
    assert (answer.code, answer.complaint) == (3, "no")
    assert run_program(["false"], seconds=60).complaint == "false ended with exit code 1 and said nothing"


def test_program_that_takes_too_long_is_ended_with_what_it_has_started(tmp_path):
    began = time.monotonic()
    with pytest.raises(ProgramError, match="`sh -c 'sleep 50 & echo") as raised:
        run_program(["sh", "-c", f"sleep 50 & echo $! > {tmp_path}/child; wait"], seconds=1)
    assert raised.value.was_started
    assert time.monotonic() - began < 30
    child = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 10
    while os.path.exists(f"/proc/{child}") and "sleep" in _command_of(child):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _command_of(process_id):
    try:
        with open(f"/proc/{process_id}/cmdline", encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""


@pytest.mark.parametrize("word", ["no-such-program", "zero\0byte"])
def test_program_that_cannot_be_started_is_named(word):
    with pytest.raises(ProgramError, match="cannot run") as raised:
        run_program([word], seconds=1)
    assert not raised.value.was_started

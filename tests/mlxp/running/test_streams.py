"""Copying of standard streams, whatever a task does with them."""

import subprocess
import sys

import pytest

PROGRAM = """
import io, os, sys, mlxp
descriptor = os.dup(2)
logger = mlxp.DefaultLogger(sys.argv[1], log_streams_to_file=True)
print("at first", flush=True)
{what}
logger.close()
os.write(descriptor, b"closed ")
try:
    os.write(1, b"afterwards")
except OSError as error:
    os.write(descriptor, type(error).__name__.encode())
os._exit(0)
"""


def run(tmp_path, what):
    command = [sys.executable, "-c", PROGRAM.format(what=what), str(tmp_path / "logs")]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=tmp_path)
    return result, (tmp_path / "logs/1/log.stdout").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "what",
    [
        "sys.stdout = None",
        "sys.stdout = sys.stderr = None",
        "sys.stdout.close()",
        "sys.stdout.detach()",
        "sys.stdout = io.StringIO()",
        "sys.stdout = object()",
        "sys.stdout = io.StringIO(); sys.stdout.close()",
        "sys.stdout = type('Odd', (), {'flush': lambda self: 1 / 0})()",
        "os.close(1)",
        "os.close(1); sys.stdout = None",
        "del sys.stdout",
    ],
)
def test_stream_that_the_task_has_spoilt_is_restored(tmp_path, what):
    result, copied = run(tmp_path, what)
    assert (result.returncode, result.stderr) == (0, "closed ")
    assert result.stdout == "at first\nafterwards"
    assert copied == "at first\n"


def test_file_that_the_task_has_put_in_the_place_of_a_stream_stays_there(tmp_path):
    result, copied = run(tmp_path, "os.close(1); file = open('own.txt', 'ab', buffering=0); assert file.fileno() == 1")
    assert (result.returncode, result.stderr) == (0, "closed ")
    assert (result.stdout, copied) == ("at first\n", "at first\n")
    assert (tmp_path / "own.txt").read_text(encoding="utf-8") == "afterwards"


def test_file_that_has_the_number_of_a_closed_copy_is_left_alone(tmp_path):
    what = "os.closerange(1, 1024); files = [open(f'own{i}', 'ab', buffering=0) for i in range(20)]; sys.stdout = None"
    command = [
        sys.executable,
        "-c",
        PROGRAM.format(what=f"{what}; descriptor = files[0].fileno()"),
        str(tmp_path / "logs"),
    ]
    code = subprocess.run(command, capture_output=True, check=False, timeout=60, cwd=tmp_path).returncode
    assert code == 0
    contents = [(tmp_path / f"own{i}").read_text(encoding="utf-8") for i in range(20)]
    assert contents[0] == "closed afterwards"
    assert set(contents[1:]) == {""}


def test_stream_that_was_replaced_while_it_was_written_twice_is_kept(tmp_path, capfd):
    # Under a test runner, sys.stdout does not write to the standard output.
    import io

    from mlxp import Logger

    before, own = sys.stdout, io.StringIO()
    with Logger(tmp_path, log_streams_to_file=True) as logger:
        kept = sys.stdout
        print("copied")
        sys.stdout = own
    assert sys.stdout is own
    sys.stdout = before
    kept.write("to whom has kept the stream\n")
    assert (tmp_path / f"{logger.log_id}/log.stdout").read_text(encoding="utf-8") == "copied\n"


def test_closed_stream_is_not_copied(tmp_path):
    closed = PROGRAM.replace("= os.dup(2)", "= os.dup(2); os.close(1); sys.stdout = io.StringIO()")
    command = [sys.executable, "-c", closed.format(what=""), str(tmp_path / "logs")]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (result.returncode, result.stderr) == (0, "closed OSError")

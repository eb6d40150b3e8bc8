"""What is printed ends nothing, whatever becomes of the stream."""

import io
import os
import subprocess
import sys

import pytest

from mlxp.printing import guarded_output, show

COMMANDS = {
    "mlxp": "from mlxp.commands.main import main; import sys; sys.exit(main(['table']))",
    "mlxpsub": "from mlxp.commands.mlxpsub import main; import sys; sys.exit(main(['script.sh']))",
}


class Full(io.TextIOBase):
    encoding = "utf-8"

    def write(self, text):
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("stream", [None, Full(), object()])
def test_show_ends_nothing(monkeypatch, stream):
    monkeypatch.setattr(sys, "stdout", stream)
    assert show("text") is False


def test_what_a_stream_cannot_show_is_spelled_out(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="latin-1", write_through=True))
    assert show("é 日 \udce9") is True
    assert raw.getvalue() == b"\xe9 \\u65e5 \\udce9\n"


def test_guarded_output_tells_what_was_lost(monkeypatch):
    monkeypatch.setattr(sys, "stdout", Full())
    with guarded_output() as output:
        print("first")
        print("second", flush=True)
    assert output.problem.errno == 28
    assert isinstance(sys.stdout, Full)


def run(desk, command, redirection, **env):
    text = f'{sys.executable} -c "{COMMANDS[command]}" {redirection}; exit ${{PIPESTATUS[0]}}'
    return subprocess.run(
        ["bash", "-c", text],
        cwd=desk.directory,
        env={**desk.env, **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize(
    "redirection", ["> /dev/full", "| true", ">&-", "> /dev/full 2> /dev/full", "2>&-", "<&- >&- 2>&-"]
)
def test_submission_is_finished_whatever_becomes_of_its_output(desk, redirection):
    desk.write("#!/bin/bash\n#SBATCH --time=1\npython main.py optimizer.lr=1,2,3\n")
    result = run(desk, "mlxpsub", redirection, PYTHONUNBUFFERED="1")
    last_line = "mlxpsub: the jobs run whatever code is there when they start; --frozen keeps the present code\n"
    assert (result.returncode, result.stderr) == (0, "" if "2>" in redirection else last_line)
    assert [desk.submission(log_id)["status"] for log_id in desk.app.log_ids()] == ["SUBMITTED"] * 3


@pytest.mark.parametrize(
    ("redirection", "code", "said"),
    [
        ("> /dev/full", 1, "mlxp: cannot print: No space left on device\n"),
        ("| true", 1, ""),
        (">&-", 0, ""),
        ("", 0, ""),
    ],
)
def test_command_that_shows_says_in_a_sentence_that_it_could_not(app, redirection, code, said):
    program = app("endings")
    program.run("number=1,2", "+note='日本'")
    program.env = {**os.environ, "PYTHONIOENCODING": "latin-1", "PYTHONUNBUFFERED": "1"}
    result = run(program, "mlxp", redirection)
    assert (result.returncode if redirection != "| true" else code, result.stderr) == (code, said)
    if not redirection:
        assert "COMPLETE" in result.stdout

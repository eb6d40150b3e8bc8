"""What a run has logged does not command the terminal of who looks at it."""

import json

import pytest

from mlxp.commands.main import main
from mlxp.commands.mlxpsub import main as mlxpsub
from mlxp.commands.terminal import coloured, harmless
from mlxp.run_directory.files import write_yaml
from mlxp.run_directory.layout import RunDirectory
from mlxp.run_directory.printable import printable
from mlxp_reader import DataFrame, Reader

COMMAND = "\x1b]0;title\x07\x1b[2J\x9b31m\r\u202e\u2028\x00"
SHOWN = r"\x1b]0;title\x07\x1b[2J\x9b31m\r\u202e\u2028\x00"


@pytest.fixture
def logs(tmp_path):
    """Two runs that put the same sequence wherever a run can put text."""
    for log_id in (1, 2):
        run = RunDirectory(tmp_path / "logs" / str(log_id))
        for folder in (run.metadata, run.metrics, run.metrics_keys_file.parent):
            folder.mkdir(parents=True, exist_ok=True)
        # As an escape in double quotes, since YAML has no such characters.
        text = json.dumps(f"{COMMAND}{log_id}")
        run.config_file.write_text(f'note: {text}\n"k{json.dumps(COMMAND)[1:-1]}": {log_id}\n')
        end = f"reason: {text}, traceback: {text}"
        run.info_file.write_text(f"status: FAILED\nhostname: {text}\nexit: {{{end}}}\ngit: {{commit: {text}}}\n")
        write_yaml(run.metrics_keys_file, {})
        run.metrics_keys_file.write_text(f"train: [{json.dumps(COMMAND)}]\n")
        run.metrics_file("train").write_text(f"{json.dumps({COMMAND: COMMAND})}\n{COMMAND}\n")
    return tmp_path / "logs"


def is_harmless(text):
    return not set(COMMAND) - set("]0;title[231Jm") & set(text)


VERBS = {
    "table": ["table", "-c", "log_id,note,status"],
    "table of what varies": ["table"],
    "table in Markdown": ["table", "-c", "note", "--format", "github"],
    "table in JSON": ["table", "-c", "note", "--format", "json"],
    "show": ["show", "1"],
    "show in JSON": ["show", "1", "--json"],
    "diff": ["diff", "1", "2"],
    "diff in JSON": ["diff", "1", "2", "--json"],
    "status": ["status"],
    "status in JSON": ["status", "--json"],
}


@pytest.mark.parametrize("verb", VERBS)
def test_no_command_prints_what_a_terminal_obeys(logs, capsys, verb):
    assert main([*VERBS[verb], "--logs", str(logs)]) == 0
    printed = capsys.readouterr()
    assert is_harmless(printed.out + printed.err)
    if verb.endswith("JSON"):
        assert json.dumps(COMMAND)[1:-1] in json.dumps(json.loads(printed.out))
    else:
        assert SHOWN in printed.out


def test_an_error_about_a_query_is_harmless(logs, capsys):
    assert main(["table", "-q", f"note == '{COMMAND}", "--logs", str(logs)]) == 1
    assert is_harmless(capsys.readouterr().err)


TYPED = {
    "an option": ["status", f"--{COMMAND}"],
    "an id": ["show", COMMAND.replace("\0", "")],
    "a very long id": ["show", "x" * 100_000],
    "a file": ["import", COMMAND.replace("\0", ""), "logs"],
    "a very long file": ["import", "x" * 100_000, "logs"],
    "an override": ["rerun", "1", f"note={COMMAND}", "--dry-run"],
    "a very long batch": ["status", "--batch", "x" * 100_000],
}


@pytest.mark.parametrize("typed", TYPED)
def test_an_error_about_what_was_typed_is_harmless_and_short(logs, capsys, typed):
    try:
        code = main([*TYPED[typed], *(["--logs", str(logs)] if "import" not in TYPED[typed] else [])])
    except SystemExit as error:
        code = error.code
    printed = capsys.readouterr()
    assert code in {1, 2}
    assert is_harmless(printed.out + printed.err)
    assert len(printed.err) < 6000


def test_mlxpsub_shows_no_commands(tmp_path, capsys):
    assert mlxpsub(["--dry-run", str(tmp_path / COMMAND.replace("\0", ""))]) == 1
    printed = capsys.readouterr().err
    assert is_harmless(printed)
    assert SHOWN.removesuffix(r"\x00") in printed


def test_colours_of_our_own_are_kept(monkeypatch):
    monkeypatch.setattr("mlxp.commands.terminal.has_colours", lambda: True)
    assert harmless(coloured("FAILED") + COMMAND) == coloured("FAILED") + SHOWN


def test_a_frame_shows_no_commands(logs):
    reader = Reader(logs)
    runs = reader.filter()
    plain = DataFrame({"note": [COMMAND]})
    assert list(runs["train." + COMMAND].iloc[0]) == [COMMAND], "the value itself is as it was logged"
    for shown in (runs, runs[0], plain, plain[0], runs.groupby("config.note"), runs.to_table(["note"])):
        text = shown if isinstance(shown, str) else repr(shown)
        assert is_harmless(text)
    assert SHOWN in repr(plain)
    problems = reader.problems
    assert len(problems)
    assert is_harmless(problems.to_string())


@pytest.mark.parametrize("text", ["", "a", "naïve 日本 🙂\n\tb", "a\u200db"])
def test_text_that_commands_nothing_is_left_alone(text):
    assert printable(text) == text


@pytest.mark.parametrize("text", ["\u200b", "\u2060", "\ufeff"])
def test_what_cannot_be_seen_is_shown(text):
    assert printable(f"a{text}b") == f"a\\u{ord(text):04x}b"


def test_half_a_character_can_be_printed():
    assert printable("a\udce9").encode() == b"a\\udce9"

"""Dies at every point between two effects on the disk, and tells after each death what is there.

    python crash_points.py DIRECTORY [SCENARIO ...]

Prints one line of JSON for each scenario and point: what a reader sees meanwhile, and what the next attempt of the run
finds. A copy of this process dies before its effect number 0, 1, 2, ... until one comes to its end.
"""

import io
import json
import os
import sys
from pathlib import Path

import yaml

import mlxp
from mlxp.run_directory.artifact_places import PREVIOUS, SAVING, artifact_path, note_place
from mlxp.run_directory.artifact_types import ARTIFACT_TYPES
from mlxp.run_directory.layout import RunDirectory

EVENTS = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink"}
MOST_POINTS = 500


def save_folder(value, path):
    """Save a value twice, in a folder, so that a mixture of two folders is seen."""
    Path(path).mkdir()
    for name in ("a", "b"):
        Path(path, name).write_text(str(value), encoding="utf-8")


def load_folder(path):
    values = {file.name: file.read_text(encoding="utf-8") for file in Path(path).iterdir()}
    assert set(values) == {"a", "b"}, values
    assert values["a"] == values["b"], values
    return values["a"]


def save_either(value, path):
    """Save what says so in a file, anything else in a folder."""
    Path(path).write_text(value, encoding="utf-8") if "file" in value else save_folder(value, path)


def load_either(path):
    return Path(path).read_text(encoding="utf-8") if Path(path).is_file() else load_folder(path)


def opened(directory):
    logger = mlxp.DefaultLogger(directory, 1)
    logger.register_artifact_type("folder", save_folder, load_folder)
    logger.register_artifact_type("either", save_either, load_either)
    return logger


def checkpoint(logger, value):
    logger.log_checkpoint(value)


def file_in_folders(logger, value):
    logger.log_artifacts(value, "a/b/c", "pickle")


def folder(logger, value):
    logger.log_artifacts(value, "deep/model", "folder")


def either(logger, value):
    logger.log_artifacts(value, "model", "either")


def restart(logger, value):
    """Leave what a kill between the two renames of a folder leaves; the attempt is the next start of the run."""
    folder(logger, value)
    run = RunDirectory(Path(logger.log_dir))
    saving = run.artifacts / f"{SAVING}{2**40}-0"
    saving.mkdir()
    note_place(saving, *PLACES[folder])
    run.artifact(*PLACES[folder]).rename(saving / PREVIOUS)


def metrics(logger, value):
    logger.log_metrics({"value": value, value: 1}, "train")


PLACES = {
    checkpoint: ("pickle", "checkpoint.pkl"),
    file_in_folders: ("pickle", "a/b/c"),
    folder: ("folder", "deep/model"),
    either: ("either", "model"),
    restart: ("folder", "deep/model"),
}
LOADERS = {folder: load_folder, either: load_either, restart: load_folder}
SCENARIOS = {
    "first checkpoint": (checkpoint, None, "new"),
    "checkpoint": (checkpoint, "old", "new"),
    "file in folders": (file_in_folders, "old", "new"),
    "first folder": (folder, None, "new"),
    "folder": (folder, "old", "new"),
    "folder after file": (either, "old file", "new"),
    "file after folder": (either, "old", "new file"),
    "start after a kill between two renames": (restart, "old", None),
    "metrics": (metrics, "old", "new"),
    "first metrics": (metrics, None, "new"),
}


def die_before(number):
    """End this process, as a kill does, before its effect of that number on the disk."""
    before_effect(number, lambda: os._exit(77))


def before_effect(number, stop):
    """Call a function before the effect of that number of this process on the disk."""
    left = iter(range(number + 1))

    def count():
        if next(left, None) == number:
            stop()

    def hook(event, arguments):
        if event in EVENTS or (event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)):
            count()

    def counting(function, *, afterwards):
        def call(*arguments, **options):
            if not afterwards:
                count()
            result = function(*arguments, **options)
            if afterwards:  # a file that has been made, and is empty
                count()
            return result

        return call

    os.fsync = counting(os.fsync, afterwards=False)
    os.write = counting(os.write, afterwards=False)
    os.pwrite = counting(os.pwrite, afterwards=False)
    io.open = counting(io.open, afterwards=True)
    os.open = counting(os.open, afterwards=True)
    sys.addaudithook(hook)


def forked(function, *arguments):
    """Call a function in a copy of this process, and return the copy's exit code."""
    child = os.fork()
    if child == 0:
        try:
            function(*arguments)
        except BaseException as error:  # noqa: BLE001 - whatever it is, this copy must not go on as the program
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
            os._exit(1)
        sys.stdout.flush()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def prepare(directory, action, value):
    with opened(directory) as logger:
        if value is not None:
            action(logger, value)


def attempt(directory, action, value, number):
    if value is None:
        die_before(number)
        opened(directory)
        return
    logger = opened(directory)
    die_before(number)
    action(logger, value)


def report(directory, scenario, action):
    """Print what is there after a death, before and after the next start of the run."""
    print(json.dumps([scenario, seen(directory, action), found(directory, action)]))


def seen(directory, action):
    run = RunDirectory(Path(directory, "1"))
    if action is metrics:
        return records_of(run)
    path = artifact_path(run, *PLACES[action])
    return LOADERS.get(action, ARTIFACT_TYPES["pickle"].load)(path) if path.exists() else None


def found(directory, action):
    run = RunDirectory(Path(directory, "1"))
    with opened(directory) as logger:
        if action is metrics:
            logger.log_metrics({"value": "next"}, "train")
            return records_of(run)
        artifact_type, name = PLACES[action]
        left = [path.name for path in run.artifacts.glob(".saving-*")]
        assert not left, left
        try:
            value = logger.load_artifacts(name, artifact_type)
        except FileNotFoundError:
            value = None
    listed = yaml.safe_load(run.artifacts_keys_file.read_text()) if run.artifacts_keys_file.exists() else {}
    parent, _, last = name.rpartition("/")
    assert (value is not None) == (last in listed.get(artifact_type, {}).get(parent, [])), (value, listed)
    return value


def records_of(run):
    """Return the values of the records, each of whose names must be listed."""
    file = run.metrics_file("train")
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    records = [json.loads(line) for line in lines]
    listed = yaml.safe_load(run.metrics_keys_file.read_text(encoding="utf-8"))["train"] if records else []
    assert all(set(record) <= set(listed) for record in records), (records, listed)
    return [record["value"] for record in records]


def main():
    for action in (folder, checkpoint):  # imports here, once, what each copy of this process would import for itself
        prepare(Path(sys.argv[1], "first"), action, "old")
        found(Path(sys.argv[1], "first"), action)
    for scenario in sys.argv[2:] or SCENARIOS:
        action, old, new = SCENARIOS[scenario]
        for number in range(MOST_POINTS):
            directory = Path(sys.argv[1], scenario, str(number))
            assert forked(prepare, directory, action, old) == 0
            code = forked(attempt, directory, action, new, number)
            assert code in (0, 77), code
            assert forked(report, directory, scenario, action) == 0
            if code == 0:
                break


if __name__ == "__main__":
    main()

"""Run pandas' own tests of frames and groups with `mlxp_reader.DataFrame` in the place of `pandas.DataFrame`.

``python pandas_suite.py`` runs them twice, with a subclass that does nothing and with ours, and tells which tests only
ours fails: what a subclass as such breaks is pandas' business. It takes some ten minutes.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDERS = (
    "frame/methods",
    "frame/indexing",
    "groupby",
    "reshape/merge",
    "reshape/concat",
    "reshape/test_pivot.py",
    "apply",
)

PLUGIN = """
import json, os
import pandas as pd

class Trivial(pd.DataFrame):
    @property
    def _constructor(self):
        return Trivial

if os.environ["FRAME"] == "ours":
    from mlxp_reader.frames.frame import DataFrame
else:
    DataFrame = Trivial
pd.DataFrame = DataFrame

failed, passed = [], 0

def pytest_runtest_logreport(report):
    global passed
    if report.when == "call" and report.passed:
        passed += 1
    elif report.failed:
        failed.append(report.nodeid)

def pytest_sessionfinish():
    with open(os.environ["REPORT"], "w") as file:
        json.dump({"passed": passed, "failed": failed}, file)
"""


def outcome(kind: str, folders: list[str]) -> dict[str, object]:
    """Return how many tests pass with this kind of frame, and which fail."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "replaced_frame.py").write_text(PLUGIN)
        report = Path(folder, "report.json")
        path = os.pathsep.join([folder, *filter(None, sys.path)])
        environment = {**os.environ, "PYTHONPATH": path, "FRAME": kind, "REPORT": str(report)}
        command = [sys.executable, "-m", "pytest", "-q", "-p", "replaced_frame", "-p", "no:cacheprovider", "--tb=no"]
        arguments = [*command, "--import-mode=prepend", "-c", os.devnull, *folders]
        subprocess.run(arguments, env=environment, cwd=folder, stdout=subprocess.DEVNULL, check=False)
        return json.loads(report.read_text())


def main() -> None:
    """Print the numbers, and the names of the tests that only our frame fails."""
    import pandas.tests

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folders", nargs="*", default=FOLDERS)
    home = Path(pandas.tests.__file__).parent
    folders = [str(home / folder) for folder in parser.parse_args().folders]
    results = {kind: outcome(kind, folders) for kind in ("trivial", "ours")}
    for kind, result in results.items():
        print(f"{kind}: {result['passed']} pass, {len(result['failed'])} fail")
    only = sorted(set(results["ours"]["failed"]) - set(results["trivial"]["failed"]))
    print(f"{len(only)} fail with ours only:", *only, sep="\n")


if __name__ == "__main__":
    main()

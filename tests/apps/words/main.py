"""A program that starts at once: it plans a run per combination of its words; as a job, it writes its words down."""

import itertools
import json
import os
import sys

from mlxp.running.plan_report import PlannedRun, append_report, is_planning

words = [word for word in sys.argv[1:] if "=" in word]
if is_planning():
    choices = [[f"{word.split('=')[0]}={value}" for value in word.split("=")[1].split(",")] for word in words]
    logs = os.environ.get("LOGS", os.path.join(os.path.dirname(os.path.abspath(__file__)), "logs"))
    runs = [PlannedRun(list(run), "{}\n", logs, os.getcwd()) for run in itertools.product(*choices)]
    append_report(runs, sys.orig_argv)
else:
    facts = {"words": sys.argv[1:], "orig": sys.orig_argv, "cwd": os.getcwd(), "env": dict(os.environ)}
    with open(os.environ["MLXP_RUN_DIRECTORY"] + "/ran.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps(facts) + "\n")

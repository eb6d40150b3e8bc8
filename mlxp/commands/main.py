"""The command ``mlxp``: looks at the runs in a log directory, and acts on their jobs.

This module has its options and its handling of errors. The verbs themselves are in `mlxp.commands.table_and_plot`,
`mlxp.commands.show_and_diff` and `mlxp.commands.jobs`. These modules are imported only when they are called, so that
help and completion need not wait for pandas.
"""

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from mlxp.commands.completion import complete
from mlxp.commands.terminal import harmless, notices_in_lines
from mlxp.errors import MLXPError, shortened
from mlxp.printing import guarded_output, show
from mlxp.running.signals import Terminated, exit_code, signal_of
from mlxp.scheduler import import_plugin
from mlxp.version import __version__

_QUERY = "which runs, such as \"info.status == 'FAILED' & seed < 3\""
_KEYS = "keys of the configuration; 'config.' may be left out"
_BANDS = ("std", "sem", "ci95", "bootstrap", "min-max", "iqr", "none")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0, or 1 if something failed."""
    with guarded_output(harmless) as output:
        code = _run(arguments)
    if output.problem is None:
        return code
    if not isinstance(output.problem, BrokenPipeError):  # as when the output is piped to `head`
        show(f"mlxp: cannot print: {getattr(output.problem, 'strerror', None) or output.problem}", "stderr")
    return code or 1


def _run(arguments: Sequence[str] | None) -> int:
    options = _options(arguments)
    try:
        for module in options.plugin:
            import_plugin(module)
        with notices_in_lines():
            return int(_function(options.verb)(options))
    except MLXPError as error:
        print(f"mlxp: {error}", file=sys.stderr)
        return 1
    except OSError as error:  # what the system says of a file that a person has named
        told = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        print(f"mlxp: {shortened(told)}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, Terminated) as error:
        return exit_code(signal_of(error))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    reading = parser()
    complete(reading)
    options, more = reading.parse_known_args(arguments)
    if more and (not hasattr(options, "words") or any(word.startswith("-") for word in more)):
        reading.error(f"unrecognized arguments: {' '.join(more)}")
    if more:  # argparse takes no words after an option that stands among them
        options.words += more
    if options.verb == "jobs:cancel" and options.query is options.batch is None:
        reading.error("the following arguments are required: QUERY or --batch NAME")
    if options.verb is None:
        reading.print_help()
        reading.exit()
    return options


def _function(verb: str) -> Any:
    module, _, name = verb.partition(":")
    return getattr(importlib.import_module(f"mlxp.commands.{module}"), name)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        super().error(shortened(message))


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    reading = _Parser(
        prog="mlxp",
        description="Look at runs and act on their jobs.",
        epilog="`mlxp COMMAND --help` has the options of a command, and an example. `mlxpsub` submits runs.",
    )
    reading.add_argument("--version", action="version", version=f"mlxp {__version__}")
    reading.set_defaults(verb=None, plugin=[])
    verbs = reading.add_subparsers(title="commands", metavar="COMMAND")
    for add in (
        _add_table,
        _add_show,
        _add_diff,
        _add_plot,
        _add_sql,
        _add_status,
        _add_output,
        _add_cancel,
        _add_preempt,
        _add_resubmit,
        _add_rerun,
        _add_export,
        _add_import,
        _add_verify,
        _add_gc,
    ):
        add(verbs)
    return reading


class _Help(argparse.RawDescriptionHelpFormatter):
    """Fills in the names of the statistics when a help text is shown; the reader is imported only then."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        text = action.help
        if text is None or "{statistics}" not in text:
            return text
        from mlxp_reader.query.statistics import listed

        return text.replace("{statistics}", listed())


def _verb(verbs: Any, name: str, module: str, text: str, example: str) -> argparse.ArgumentParser:
    added: argparse.ArgumentParser = verbs.add_parser(
        name,
        help=text,
        description=text,
        epilog=f"example:\n  {example}",
        formatter_class=_Help,
    )
    added.set_defaults(verb=f"{module}:{name}")
    added.add_argument("--logs", type=Path, default=Path("logs"), metavar="DIR", help="log directory; default: logs")
    return added


def _job_verb(verbs: Any, name: str, text: str, example: str) -> argparse.ArgumentParser:
    added = _verb(verbs, name, "jobs", text, example)
    _add_plugin(added, "another scheduler")
    return added


def _add_plugin(verb: Any, what: str) -> None:
    text = f"import a module that registers {what}; may be given several times"
    verb.add_argument("--plugin", action="append", default=[], metavar="MODULE", help=text)


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise argparse.ArgumentTypeError("no name is given; separate several names by commas")
    return names


def _add_table(verbs: Any) -> None:
    example = "mlxp table -q \"info.status == 'COMPLETE'\" -c optimizer.lr,seed,test.loss.last --sort test.loss.last"
    table = _verb(verbs, "table", "table_and_plot", "Print the runs as a table.", example)
    _add_batch(table)
    table.add_argument("-q", "--query", metavar="QUERY", help=f"{_QUERY}; default: all")
    table.add_argument(
        "-c",
        "--columns",
        type=_names,
        metavar="NAMES",
        help="keys ('config.' may be left out), log_id, status, and metrics with {statistics}, such as test.loss.min, "
        "separated by commas; default: id, the keys that vary, and status",
    )
    table.add_argument("--sort", type=_names, metavar="NAMES", help="columns to sort by, the lowest first")
    table.add_argument("--descending", action="store_true", help="the highest first; runs without a value stay last")
    table.add_argument(
        "-f",
        "--format",
        type=_table_format,
        default="simple",
        metavar="FORMAT",
        help="csv, json, or a format of tabulate: github, latex_booktabs, html, ...; default: simple",
    )
    table.add_argument("--json", action="store_const", const="json", dest="format", help="the same as -f json")
    _add_plugin(table, "statistics of your own")


def _table_format(text: str) -> str:
    from tabulate import tabulate_formats

    known = sorted(["csv", "json", *tabulate_formats])
    if text not in known:
        raise argparse.ArgumentTypeError(f"there is no format '{text}'; there are {', '.join(known)}")
    return text


def _add_show(verbs: Any) -> None:
    text = "Show one run: its status, when, where and how it ran, configuration, metrics, artifacts, and what failed."
    show = _verb(verbs, "show", "show_and_diff", text, "mlxp show 12")
    show.add_argument("log_id", type=int, metavar="ID", help="the run's id")
    show.add_argument("--json", action="store_true", help="print one object")


def _add_diff(verbs: Any) -> None:
    text = "Compare runs: what differs in configuration, code version, Python, packages and last metrics."
    diff = _verb(verbs, "diff", "show_and_diff", text, "mlxp diff 12 57")
    diff.add_argument("log_id", type=int, metavar="ID", help="a run's id")
    diff.add_argument("others", type=int, nargs="+", metavar="ID", help="those of the runs to compare it with")
    diff.add_argument("--code", action="store_true", help="print what differs in the code, too, as a unified diff")
    diff.add_argument("--json", action="store_true", help="print one object: what differs, by name and run")


def _add_plot(verbs: Any) -> None:
    example = "mlxp plot val.loss --hue optimizer.lr --over seed --band ci95 --logy -o fig.pdf"
    text = "Draw a metric of the runs to a file: a line per run, or means over some runs. Needs mlxp[plot]."
    plot = _verb(verbs, "plot", "table_and_plot", text, example)
    plot.add_argument("metric", metavar="METRIC", help="such as val.loss")
    plot.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="its ending is the format: .pdf, .png, .svg, …"
    )
    plot.add_argument("-q", "--query", metavar="QUERY", help=f"{_QUERY}; default: all")
    plot.add_argument("--hue", type=_names, metavar="KEYS", help=f"each value gets a colour: {_KEYS}")
    plot.add_argument("--style", type=_names, metavar="KEYS", help="keys that give each value a dash")
    plot.add_argument("--col", type=_names, metavar="KEYS", help="keys that give each value a panel, side by side")
    plot.add_argument("--row", type=_names, metavar="KEYS", help="keys that give each value a row of panels")
    plot.add_argument("--over", type=_names, default=[], metavar="KEYS", help="keys to average over, such as seed")
    plot.add_argument("--exclude", type=_names, metavar="KEYS", help="patterns of keys to ignore, such as paths.*")
    plot.add_argument("--band", choices=_BANDS, default="std", help="what is shown around a mean; default: std")
    plot.add_argument("--x", default="step", metavar="NAME", help="step, time (in seconds) or a metric; default: step")
    plot.add_argument("--step", metavar="KEY", help="the key that holds the step; default: step, epoch or iteration")
    plot.add_argument("--smooth", type=float, default=0.0, metavar="WEIGHT", help="from 0 to less than 1; default: 0")
    plot.add_argument(
        "--width", choices=("column", "page"), help="the width in a paper; default: a width for the screen"
    )
    plot.add_argument("--logx", action="store_true", help="a logarithmic horizontal axis")
    plot.add_argument("--logy", action="store_true", help="a logarithmic vertical axis")
    _add_plugin(plot, "statistics of your own")


def _add_batch(verb: Any) -> None:
    help_text = "only runs of this batch, which is one sweep or one call of mlxpsub; 'last' is that of the latest run"
    verb.add_argument("--batch", metavar="NAME", help=help_text)


def _add_status(verbs: Any) -> None:
    text = "Show the status of the runs, and the reason where a run is not complete, as far as it is known."
    status = _job_verb(verbs, "status", text, "mlxp status \"info.status == 'FAILED'\"")
    _add_batch(status)
    status.add_argument("query", nargs="?", metavar="QUERY", help=f"{_QUERY}; default: all")
    status.add_argument("--json", action="store_true", help="print a list with one object per run")


def _add_output(verbs: Any) -> None:
    output = _job_verb(verbs, "output", "Print the output of a run.", "mlxp output 12 --stderr --follow")
    output.add_argument("log_id", type=int, metavar="ID", help="the run's id")
    output.add_argument("-f", "--follow", action="store_true", help="go on until the run has ended")
    output.add_argument("--stderr", action="store_true", help="its error stream instead")


def _add_cancel(verbs: Any) -> None:
    cancel = _job_verb(verbs, "cancel", "Cancel the jobs of runs.", 'mlxp cancel "optimizer.lr > 1"')
    _add_batch(cancel)
    cancel.add_argument("query", nargs="?", metavar="QUERY", help=f"{_QUERY}; with --batch, all of that by default")


def _add_preempt(verbs: Any) -> None:
    text = "Send runs the warning that a scheduler sends before it ends a job, to test that they stop and go on."
    warned = _job_verb(verbs, "preempt", text, "mlxp preempt 12")
    warned.add_argument("log_ids", type=int, nargs="+", metavar="ID", help="the runs' ids")


def _add_rerun(verbs: Any) -> None:
    text = "Rerun runs, as new runs, with the code and the configuration that they had."
    again = _verb(verbs, "rerun", "rerun", text, "mlxp rerun 12 --check")
    again.add_argument(
        "words",
        nargs="+",
        metavar="WORD",
        help=f"ids of runs, or {_QUERY}; then overrides for what should differ",
    )
    again.add_argument("--check", action="store_true", help="compare all metrics; exit code 1 if they are not the same")
    again.add_argument("--rtol", type=float, default=0.0, metavar="R", help="relative tolerance of --check; default: 0")
    again.add_argument("--atol", type=float, default=0.0, metavar="A", help="absolute tolerance of --check; default: 0")
    again.add_argument(
        "--env",
        choices=["uv"],
        help="recreate and use the environment of the run, with uv; it is kept for next time",
    )
    again.add_argument(
        "--submit", action="store_true", help="submit a job, with the script that the run was submitted with"
    )
    again.add_argument("--force", action="store_true", help="rerun even if Python or packages differ")
    again.add_argument("--dry-run", action="store_true", help="print the command, and start nothing")


def _add_export(verbs: Any) -> None:
    text = "Put runs, and all that they were made from, into one zip file for others."
    given = _verb(verbs, "export", "export", text, "mlxp export \"status == 'COMPLETE'\" supplement.zip")
    given.add_argument(
        "words", nargs="+", metavar="WORD", help=f"ids of runs, or {_QUERY}; and last the zip file to write"
    )
    given.add_argument(
        "--keep-names", action="store_true", help="leave names of users and hosts, and paths, as they are"
    )
    given.add_argument(
        "--hide",
        action="append",
        default=[],
        metavar="NAME",
        help="another name to take out; may be given several times",
    )
    given.add_argument(
        "--no-artifacts", action="store_false", dest="artifacts", help="without checkpoints and the like"
    )


def _add_import(verbs: Any) -> None:
    text = "Add runs of others, or of other tools, to a log directory, under new ids; each run is added once."
    taken = _verb(verbs, "import", "import_runs", text, "mlxp import supplement.zip logs")
    taken.set_defaults(verb="import_runs:import_runs")
    taken.add_argument("source", type=Path, metavar="SOURCE", help="a zip file, or a folder of another tool")
    taken.add_argument("target", type=Path, nargs="?", metavar="DIR", help="the log directory; default: that of --logs")


def _add_sql(verbs: Any) -> None:
    text = "Ask about the runs in SQL; the tables are runs and metrics. Needs mlxp[duckdb]."
    asked = _verb(verbs, "sql", "sql", text, 'mlxp sql "select model.name, avg(test.acc.last) from runs group by 1"')
    asked.add_argument("question", metavar="SQL", help='such as "select log_id, test.loss.min from runs"')
    asked.add_argument(
        "-f", "--format", type=_table_format, default="simple", metavar="FORMAT", help="as of mlxp table"
    )
    asked.add_argument("--json", action="store_const", const="json", dest="format", help="the same as -f json")


def _add_verify(verbs: Any) -> None:
    text = "Recompute the numbers of tables and figures from the runs, and list those that do not hold."
    given = _verb(verbs, "verify", "verify", text, "mlxp verify paper/")
    given.set_defaults(logs=None)  # where the notes say
    given.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="directories, or files with a note")
    _add_plugin(given, "statistics of your own")


def _add_gc(verbs: Any) -> None:
    text = "Remove copies of the code, states of the code and lists of packages that no run needs."
    freed = _verb(verbs, "gc", "gc", text, "mlxp gc --dry-run")
    freed.add_argument("--dry-run", action="store_true", help="say what would be removed, and remove nothing")


def _add_resubmit(verbs: Any) -> None:
    text = "Submit runs again, under the same ids."
    again = _job_verb(verbs, "resubmit", text, "mlxp resubmit \"info.status == 'FAILED'\"")
    _add_batch(again)
    again.add_argument(
        "query", nargs="?", metavar="QUERY", help=f"{_QUERY}; default: those whose job was not submitted or refused"
    )
    again.add_argument(
        "--accept-changes", action="store_true", help="use the configuration as it is now, if it has changed"
    )
    again.add_argument(
        "--force",
        action="store_true",
        help="also submit runs that are COMPLETE, and runs for which the scheduler cannot tell whether they have a job",
    )

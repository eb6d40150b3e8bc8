"""Which commands a plan executes: those that can only read, and those that can only create what is new.

A plan leaves every existing file as it was. So it executes a command that is known to be harmless, an unknown command
only where the script needs its answer, and no others. This module is also imported, by its path, into the Python
programs that a plan starts, which may be of any version: it needs only the standard library.
"""

import os
import re
import shutil
from collections.abc import Callable, Sequence
from enum import Enum
from itertools import pairwise
from pathlib import Path, PurePath


class Treatment(Enum):
    """What a plan does with a command."""

    RUN = "run"
    LEAVE = "leave"
    """It may change what is there, or reach beyond this computer, so it is left to the jobs."""
    UNKNOWN = "unknown"
    """It is executed only where the script needs its answer."""


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


READING = _names(
    """
    arch awk base32 base64 basename bc cat cksum cmp column comm cut date df diff dirname du egrep expand expr
    factor false fgrep file find fmt fold free getconf getent git grep groups head hexdump host hostname iconv id
    join jq last less locale locate ls lsb_release lscpu lsmem lsof lspci md5sum mktemp more nl nproc numfmt
    nvidia-smi od paste pathchk pgrep pinky pr printenv printf ps pwd readlink realpath rev rocm-smi sacct sdiff sed
    seq sha1sum sha224sum sha256sum sha384sum sha512sum shuf sinfo sleep sort sprio squeue sshare stat strings sum
    sync tac tail test tr tree true tsort tty uname unexpand uniq uptime users vmstat w wc whereis which who whoami
    yes zcat zgrep zless echo [ stty tput qstat qhost qacct qselect oarstat oarnodes bjobs bhosts bqueues bhist
    lsload lshosts showq showstart checkjob gawk mawk nawk xxd lsblk lstopo numastat module ml curl-config
    """
)
"""Programs that only read and print, except with the options that `_CHECKS` looks at."""

CHANGING = _names(
    """
    rm rmdir unlink shred mv cp ln install dd truncate tee rsync scp sftp tar unzip zip gzip gunzip bzip2 bunzip2 xz
    unxz zstd unzstd 7z patch touch chmod chown chgrp setfacl mkfifo split csplit rename mkdir sbatch salloc srun
    scancel qsub qdel qalter qhold qrls qmod qresub qrerun oarsub oardel oarhold oarresume oarwalltime bsub bkill
    bstop bresume brequeue msub canceljob mjobctl mlxpsub kill pkill trap killall skill shutdown reboot halt crontab
    at batch mount umount sudo su ssh pip pip3 conda mamba micromamba make ninja cmake docker podman npm git-lfs dvc
    wandb huggingface-cli ed ex vi vim nano emacs xargs scontrol sacctmgr mail sendmail git find sed sort uniq awk
    gawk
    """
)
"""Programs that may change what is there; the plan checks every use of them, however they are started."""

_READING_OF_GIT = _names(
    """
    rev-parse log status diff show describe ls-files ls-tree ls-remote cat-file blame rev-list grep merge-base name-rev
    for-each-ref show-ref shortlog version help diff-tree diff-index count-objects var --
    """
)

_STARTERS = _names(
    """
    env nice ionice nohup time timeout stdbuf setsid chrt taskset numactl command exec builtin unbuffer prlimit xargs
    catchsegv
    """
)
"""Programs that start the program named in their arguments, on this computer."""


def treatment(words: Sequence[str]) -> Treatment:
    """Return what a plan does with the command of these `words`.

    Examples
    --------
    >>> [treatment(line.split()).value for line in ("ls -l", "rm -rf /scratch", "env A=1 nice rm x", "./prepare")]
    ['run', 'leave', 'leave', 'unknown']
    >>> [treatment(line.split()).value for line in ("find . -name x", "find . -delete", "git status", "git clean -fd")]
    ['run', 'leave', 'run', 'leave']
    """
    name = PurePath(words[0]).name if words else ""
    if name == "env" and any(one.startswith(("-S", "--split-string")) for one in words[1:]):
        return Treatment.LEAVE
    if name in _STARTERS and not _is_question(words):
        return treatment(started(words))
    if not words or _is_question(words):
        return Treatment.RUN
    if name in _CHECKS:
        return Treatment.RUN if _CHECKS[name](list(words[1:])) else Treatment.LEAVE
    if name in CHANGING:
        return Treatment.LEAVE
    return Treatment.RUN if name in READING else Treatment.UNKNOWN


def _is_question(words: Sequence[str]) -> bool:
    """Tell whether a command only asks about a program."""
    return (words[0] == "command" and words[1:2] in (["-v"], ["-V"])) or (
        len(words) == 2 and words[1] in {"--version", "--help", "-V"}
    )


def started(words: Sequence[str]) -> list[str]:
    """Return the words of the command that a starter starts, from the first word that names a program.

    Examples
    --------
    >>> started("timeout -k 5 60 rm x".split()), started("xargs -n 1 -I {} mv {} old".split()), started(["env"])
    (['rm', 'x'], ['mv', '{}', 'old'], [])
    """
    rest = list(words[1:])
    while rest:
        name = PurePath(rest[0]).name
        is_word = not rest[0].startswith("-") and "=" not in rest[0] and not re.fullmatch(r"[\d.,]+[smhdkKMG]?", name)
        if is_word and (name in READING | CHANGING | _STARTERS or "/" in rest[0] or shutil.which(rest[0])):
            return rest
        rest = rest[1:]
    return []


def _has_no(*options: str, letters: str = "") -> Callable[[list[str]], bool]:
    """Return a check that none of these options is given: long ones match by their start, others by their letter."""

    def check(arguments: list[str]) -> bool:
        longs = [one for one in arguments if one.startswith("--")]
        shorts = [one for one in arguments if re.fullmatch(r"-[A-Za-z].*", one)]
        return not any(one.partition("=")[0] == option for one in longs for option in options) and not any(
            letter in one[1:] for one in shorts for letter in letters
        )

    return check


def _is_one_of(*subcommands: str) -> Callable[[list[str]], bool]:
    def check(arguments: list[str]) -> bool:
        return next((one for one in arguments if not one.startswith("-")), "--") in {*subcommands, "--"}

    return check


def _operands(arguments: Sequence[str]) -> list[str]:
    if "--" in arguments:
        end = list(arguments).index("--")
        return [*(one for one in arguments[:end] if not one.startswith("-")), *arguments[end + 1 :]]
    return [one for one in arguments if not one.startswith("-") or one == "-"]


def _creates(arguments: list[str]) -> bool:
    """Tell whether all operands are new."""
    return not any(os.path.lexists(one) for one in _operands(arguments))


def _copies_to_new(arguments: list[str]) -> bool:
    """Tell whether a command like ``cp`` only creates what is new; False if it has unusual options."""
    options = [one for one in arguments if one.startswith("-") and one != "--"]
    ordinary = r"-[aAdDefHiLnpPrRsuvx]+|--(archive|recursive|force|symbolic|verbose|no-clobber|dereference|preserve.*)"
    operands = _operands(arguments)
    if not all(re.fullmatch(ordinary, one) for one in options) or len(operands) < 2:
        return False
    *sources, target = operands
    if not Path(target).is_dir():
        return not os.path.lexists(target) and len(sources) == 1
    return not any(os.path.lexists(Path(target, PurePath(one).name)) for one in sources)


def _awk(arguments: list[str]) -> bool:
    text = " ".join(arguments)
    return not re.search(r"print[^;}]*>|system\s*\(|\|", text) and _has_no("--file", "--include", letters="fi")(
        arguments
    )


def _sed(arguments: list[str]) -> bool:
    writes = any(re.search(r"(^|[/;}\d\s])[wW]\s+\S|/[a-zA-Z]*e[a-zA-Z]*$|(^|;)\s*e\b", one) for one in arguments)
    return not writes and _has_no("--in-place", letters="i")(arguments)


def _perl(arguments: list[str]) -> bool:
    changing = r"\b(unlink|rename|open|system|exec|rmdir|truncate|mkdir)\b|`"
    texts = [text for option, text in pairwise(arguments) if re.fullmatch(r"-[a-z]*[eE]", option)]
    switches = [one for one in arguments if re.match(r"-[a-z]", one)]
    return bool(texts) and not any("i" in one for one in switches) and not re.search(changing, " ".join(texts))


def _find(arguments: list[str]) -> bool:
    if any(one in {"-delete", "-fls"} or one.startswith("-fprint") for one in arguments):
        return False
    starts = [number for number, one in enumerate(arguments) if one in {"-exec", "-execdir", "-ok", "-okdir"}]
    return all(treatment(arguments[number + 1 :]) is Treatment.RUN for number in starts)


def _git(arguments: list[str]) -> bool:
    rest = list(arguments)
    while rest and rest[0].startswith("-"):
        rest = rest[2:] if rest[0] in {"-C", "-c"} else rest[1:]
    command, operands = (rest or ["--"])[0], rest[1:]
    if command in {"branch", "tag", "remote"}:
        changing = r"-[dDmMcCfu]|--(delete|move|copy|set)"
        return not _operands(operands) and not any(re.match(changing, one) for one in operands)
    if command == "config":
        return bool(operands) and operands[0] in {"--get", "--get-all", "--list", "-l", "--get-regexp"}
    if command == "symbolic-ref":
        return len(_operands(operands)) == 1
    return command in _READING_OF_GIT and not any(one.startswith("--output") for one in operands)


def _tar(arguments: list[str]) -> bool:
    first = arguments[0] if arguments else ""
    return re.fullmatch(r"-?[tvzjJf]*t[tvzjJf]*|--list", first) is not None


def _kill(arguments: list[str]) -> bool:
    return arguments[:1] in (["-0"], ["-l"], ["-L"])


def _tee(arguments: list[str]) -> bool:
    return _creates([one for one in arguments if not one.startswith("/dev/")])


_CHECKS: dict[str, Callable[[list[str]], bool]] = {
    **dict.fromkeys(("awk", "gawk", "mawk", "nawk"), _awk),
    "cp": _copies_to_new,
    "ln": _copies_to_new,
    "curl": _has_no(
        "--output",
        "--remote-name",
        "--upload-file",
        "--request",
        "--data",
        "--form",
        "--dump-header",
        "--cookie-jar",
        letters="oOTXdFDc",
    ),
    "wget": lambda arguments: (
        any(re.fullmatch(r"-q?O-?|--output-document=-", one) for one in arguments)
        and (any(one.endswith("O-") for one in arguments) or "-" in arguments or "--output-document=-" in arguments)
    ),
    "perl": _perl,
    "date": _has_no("--set", letters="s"),
    "dd": lambda arguments: not any(one.startswith("of=") for one in arguments),
    "find": _find,
    "git": _git,
    "hostname": lambda arguments: not _operands(arguments) and _has_no("--file", letters="F")(arguments),
    "kill": _kill,
    "less": _has_no("--log-file", letters="oO"),
    "mkdir": lambda _: True,  # which never changes what is there
    "module": lambda arguments: not {"save", "saverm", "disable"} & set(arguments),
    "ml": lambda arguments: not {"save", "saverm", "disable"} & set(arguments),
    "mlxp": _is_one_of("status", "table", "show", "diff", "output"),
    "scontrol": _is_one_of("show", "ping"),
    "sed": _sed,
    "shuf": _has_no("--output", letters="o"),
    "sort": _has_no("--output", letters="o"),
    "tar": _tar,
    "tee": _tee,
    "touch": _creates,
    "tree": _has_no(letters="oR"),
    "uniq": lambda arguments: len(_operands(arguments)) < 2,
    "unzip": lambda arguments: bool({"-l", "-t", "-v", "-Z", "-p"} & set(arguments[:1])),
    "xxd": lambda arguments: len(_operands(arguments)) < 2,
    "nvidia-smi": _has_no("--gpu-reset", "--persistence-mode", "--power-limit", "--filename", letters="rfpmc"),
    **dict.fromkeys(
        ("conda", "mamba", "micromamba"),
        _is_one_of(
            "activate", "deactivate", "reactivate", "info", "list", "shell", "shell.bash", "shell.posix", "search"
        ),
    ),
    **dict.fromkeys(("pip", "pip3"), _is_one_of("list", "show", "freeze", "check")),
    "spack": _is_one_of("load", "unload", "find", "location", "arch"),
}
"""Checks, by program, that tell whether its arguments make it only read, or only create what is new."""

DECIDED = frozenset(_CHECKS)
"""The programs whose arguments are checked."""

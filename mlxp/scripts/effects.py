"""Which commands a plan executes: those that can only read, and those that can only create what is new.

A plan leaves every existing file as it was. So it executes a command that is known to be harmless, an unknown command
only where the script needs its answer, and no others. A program that can also do harm is harmless only with options
that are listed here: options have abbreviations, and new versions have new ones. This module is also imported, by its
path, into the Python programs that a plan starts, which may be of any version: it needs only the standard library.
"""

import os
import re
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
"""Programs that only read and print, except with the arguments that `_CHECKS` looks at."""

STARTING = _names(
    """
    sudo doas su runuser ssh oarsh docker podman busybox toybox chroot fakeroot unshare nsenter setarch flock script
    watch parallel strace ltrace gdb systemd-run xargs
    """
)
"""Programs that start others where a plan cannot look at them, or for which it cannot answer."""

CHANGING = STARTING | _names(
    """
    rm rmdir unlink shred mv cp ln install dd truncate tee rsync scp sftp tar unzip zip gzip gunzip bzip2 bunzip2 xz
    unxz zstd unzstd 7z patch touch chmod chown chgrp setfacl mkfifo mknod fallocate split csplit rename mkdir sbatch
    salloc srun scancel qsub qdel qalter qhold qrls qmod qresub qrerun oarsub oardel oarhold oarresume oarwalltime bsub
    bkill bstop bresume brequeue msub canceljob mjobctl mlxpsub kill pkill trap killall skill shutdown reboot halt
    crontab at batch mount umount pip pip3 conda mamba micromamba make ninja cmake npm git-lfs dvc wandb
    huggingface-cli ed ex vi vim nano emacs scontrol sacctmgr mail sendmail git find sed sort uniq awk gawk perl iconv
    sdiff
    """
)
"""Programs that may change what is there; the plan checks every use of them, however they are started."""

_READING_OF_GIT = _names(
    """
    rev-parse log status diff show describe ls-files ls-tree ls-remote cat-file blame rev-list grep merge-base name-rev
    for-each-ref show-ref shortlog version help diff-tree diff-index count-objects var --
    """
)


def _options(
    arguments: Sequence[str], letters: str = "", valued: str = "", attached: str = "", names: str = ""
) -> list[str] | None:
    """Return the operands among `arguments`; None if there is an option that is not listed.

    Parameters
    ----------
    letters, valued, attached
        Options of one letter: without a value, with one, and with one that is never the next word.
    names
        Long options; those whose values may be the next word end with ``=``.
    """
    operands: list[str] = []
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word == "--":
            return operands + rest
        if not word.startswith("-") or word == "-":
            operands.append(word)
            continue
        is_long = word.startswith("--")
        takes_next = _long(word[2:], names.split()) if is_long else _short(word[1:], letters, valued, attached)
        if takes_next is None:
            return None
        rest = rest[1:] if takes_next else rest
    return operands


def _long(option: str, names: Sequence[str]) -> bool | None:
    """Return whether the next word is an option's value; None if the option is not listed."""
    name, given, _ = option.partition("=")
    if name in names:
        return False
    return not given if f"{name}=" in names else None


def _short(option: str, letters: str, valued: str, attached: str) -> bool | None:
    for number, letter in enumerate(option, 1):
        if letter in valued:
            return number == len(option)
        if letter in attached:
            return False
        if letter not in letters:
            return None
    return False


_STARTERS: dict[str, tuple[dict[str, str], int]] = {
    "env": ({"letters": "i0v", "valued": "uC", "names": "ignore-environment null unset= chdir= debug"}, 0),
    "nice": ({"letters": "0123456789", "valued": "n", "names": "adjustment="}, 0),
    "ionice": ({"letters": "t", "valued": "cn", "names": "class= classdata= ignore"}, 0),
    "time": ({"letters": "pvaq", "valued": "f", "names": "portability verbose format="}, 0),
    "timeout": ({"letters": "fpv", "valued": "ks", "names": "kill-after= signal= foreground preserve-status"}, 1),
    "stdbuf": ({"valued": "ioe", "names": "input= output= error="}, 0),
    "setsid": ({"letters": "cfw", "names": "ctty fork wait"}, 0),
    "chrt": ({"letters": "bfioR", "names": "batch fifo idle other reset-on-fork"}, 1),
    "taskset": ({"letters": "c", "names": "cpu-list"}, 1),
    "numactl": (
        {"letters": "l", "valued": "iNmC", "names": "interleave= cpunodebind= membind= physcpubind= localalloc"},
        0,
    ),
    "command": ({"letters": "p"}, 0),
    "exec": ({"letters": "cl", "valued": "a"}, 0),
    "builtin": ({}, 0),
    "unbuffer": ({"letters": "p"}, 0),
    "prlimit": ({"attached": "cdefilmnqrstuvxy", "names": "core data fsize memlock nofile nproc stack cpu as"}, 0),
    "catchsegv": ({}, 0),
    "xargs": (
        {
            "letters": "0rtx",
            "valued": "adEILnPs",
            "attached": "eil",
            "names": "arg-file= delimiter= eof max-args= max-chars= max-lines max-procs= no-run-if-empty null replace "
            "verbose exit",
        },
        0,
    ),
}
"""Programs that start the program named in their arguments: their options, and how many words follow these."""


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
    if not words or _is_question(words):
        return Treatment.RUN
    if name in _STARTERS:
        inner = started(words)
        return Treatment.LEAVE if inner is None else treatment(inner)
    if name in _CHECKS:
        return Treatment.RUN if _CHECKS[name](list(words[1:])) else Treatment.LEAVE
    if name in CHANGING:
        return Treatment.LEAVE
    return Treatment.RUN if name in READING else Treatment.UNKNOWN


def is_starter(words: Sequence[str]) -> bool:
    """Tell whether a command's program starts another one, which may start Python."""
    return PurePath(words[0]).name in {*STARTING, *_STARTERS, "nohup"}


def _is_question(words: Sequence[str]) -> bool:
    """Tell whether a command only asks about a program."""
    return (words[0] == "command" and words[1:2] in (["-v"], ["-V"])) or (
        len(words) == 2 and words[1] in {"--version", "--help"}
    )


def started(words: Sequence[str]) -> list[str] | None:
    """Return the words of the command that a starter starts; None if it has an option that is not known.

    Examples
    --------
    >>> started("timeout -k 5 60 rm x".split()), started("xargs -n 1 -I {} mv {} old".split()), started(["env"])
    (['rm', 'x'], ['mv', '{}', 'old'], [])
    """
    name = PurePath(words[0]).name
    options, operands = _STARTERS[name]
    for end in range(1, len(words) + 1):
        # The options end before the first word that is none; which word that is depends on those that take values.
        found = _options(words[1 : end + 1], **options)
        if found is None:
            return None
        is_assignment = name == "env" and found and ("=" in found[-1] or found[-1] == "-")
        if len(found) > operands and not is_assignment:
            return list(words[end:])
        if is_assignment:
            return started([words[0], *words[end + 1 :]])
    return []


Check = Callable[[list[str]], bool]


def _only(most: int | None = None, **options: str) -> Check:
    """Return a check that all options are listed, and that there are at most so many operands."""

    def check(arguments: list[str]) -> bool:
        operands = _options(arguments, **options)
        return operands is not None and (most is None or len(operands) <= most)

    return check


def _is_one_of(*subcommands: str) -> Check:
    def check(arguments: list[str]) -> bool:
        is_logging = any(one.startswith("--log") for one in arguments)
        return not is_logging and next((one for one in arguments if not one.startswith("-")), "--") in subcommands

    return check


def _module(arguments: list[str]) -> bool:
    changing = "(save|saverm|savereset|disable|edit|config|refresh|cachebuild|cacheclear|init.*)"
    return not any(re.fullmatch(changing, one) for one in arguments)


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
    # What `cp -r source/. target` copies is the content of the source.
    is_content = any(one.rstrip("/").endswith(("/.", "/..")) or set(one) <= {".", "/"} for one in sources)
    return not is_content and not any(os.path.lexists(Path(target, PurePath(one).name)) for one in sources)


def _awk(arguments: list[str]) -> bool:
    operands = _options(arguments, valued="Fv", names="field-separator= assign=")
    program = operands[0].replace("||", "") if operands else ""
    return operands is not None and not re.search(r"(?s)print.*>|\bsystem\b|\||@", program)


def _sed(arguments: list[str]) -> bool:
    given = "expression= quiet silent regexp-extended separate null-data unbuffered line-length= posix"
    operands = _options(arguments, letters="nErsuz", valued="el", names=given)
    pairs = [*pairwise(arguments), ("", "")]
    scripts = [after for one, after in pairs if one == "--expression" or re.fullmatch(r"-[nErsuz]*e", one)]
    scripts += [one.partition("=")[2] for one in arguments if one.startswith("--expression=")]
    scripts += [one.partition("e")[2] for one in arguments if re.match(r"-[nErsuz]*e.", one)]
    if operands is None or not (scripts or operands):
        return False
    return _edits_only(re.sub(r"\\\n", "  ", "\n".join(scripts or operands[:1])))


_ADDRESS = (
    r"(?:[\d$][\d~+]*|~?\+?\d+|/(?:\\.|\[\^?\]?[^]\n]*\]|[^/\\\n[])*/[IM]*"
    r"|\\(?P<{0}>[^\\\n])(?:\\.|(?!(?P={0}))[^\\\n])*(?P={0})[IM]*)"
)
_EDIT = re.compile(
    rf"[\s;{{}}]*(?:{_ADDRESS.format('one')}(?:\s*,\s*{_ADDRESS.format('two')})?)?[\s!{{]*"
    r"(?:s(?P<of>[^\\\n])(?:\\.|\[\^?\]?[^]\n]*\]|(?!(?P=of))[^\\[])*(?P=of)(?:\\.|(?!(?P=of))[^\\])*(?P=of)[gpiIM\d]*(?=[\s;}]|$)"
    r"|y(?P<to>[^\\\n])(?:\\.|(?!(?P=to))[^\\])*(?P=to)(?:\\.|(?!(?P=to))[^\\])*(?P=to)"
    r"|[pPdDgGhHnNxqQl=zF]\s*\d*(?=[\s;}]|$)|[:btT]\s*[^\s;}]*|[aic#rR][^\n]*|(?=[;}]|$))",
    re.DOTALL,
)


def _edits_only(script: str) -> bool:
    """Tell whether a script of sed has only commands that write no file and start no program."""
    at = 0
    while script[at:].strip(" \t\n;}"):
        found = _EDIT.match(script, at)
        if found is None or found.end() == at:
            return False
        at = found.end()
    return True


def _perl(arguments: list[str]) -> bool:
    changing = (
        r"\b(unlink|rename|(sys|dbm)?open|system|exec|rmdir|truncate|mkdir|symlink|link|chmod|chown|utime|kill|eval|do|"
        r"require|use|syscall|qx|fork|socket|pipe|tie)\b|`|::|->|\^I|<[^>]*\|"
    )
    texts = [text for option, text in pairwise(arguments) if re.fullmatch(r"-[a-z0-9]*[eE]", option)]
    switches = [one for one in arguments if one.startswith("-") and one not in texts]
    is_plain = all(re.fullmatch(r"-[alnpsw0-7]*[eE]?|-F.*", one) for one in switches)
    # It takes the name of a file with `|` or `>` for a command, or for a file to write.
    are_files = not any(re.search(r"\||^\s*>", one) for one in arguments if one not in texts)
    return bool(texts) and is_plain and are_files and not re.search(changing, " ".join(texts))


def _find(arguments: list[str]) -> bool:
    if any(one in {"-delete", "-fls"} or one.startswith("-fprint") for one in arguments):
        return False
    starts = [number for number, one in enumerate(arguments) if one in {"-exec", "-execdir", "-ok", "-okdir"}]
    return all(treatment(arguments[number + 1 :]) is Treatment.RUN for number in starts)


_GIT_SETTING = re.compile(r"(core\.(pager|quotepath)|pager\.\w+)=(cat|less|false|off|)|(color|advice|safe)\.[\w.]+=.*")


def _git(arguments: list[str]) -> bool:
    rest = list(arguments)
    while rest and rest[0].startswith("-"):
        if rest[0] == "-c" and not _GIT_SETTING.fullmatch("".join(rest[1:2])):
            return False
        if rest[0].startswith(("--config-env", "--exec-path=")):
            return False
        rest = rest[2:] if rest[0] in {"-C", "-c"} else rest[1:]
    command, operands = (rest or ["--"])[0], rest[1:]
    if command in {"branch", "tag", "remote"}:
        return _options(operands, "arvlq", names="list all remotes verbose show-current sort= format=") == []
    if command == "config":
        return bool(operands) and operands[0] in {"--get", "--get-all", "--list", "-l", "--get-regexp"}
    if command == "symbolic-ref":
        return len(_operands(operands)) == len(operands) == 1
    harmful = (
        "--ou",
        "-O",
        "--op",
        "--up",
        "--ex",
    )  # --output, --open-files-in-pager, --upload-pack, --exec, --ext-diff
    return command in _READING_OF_GIT and not any(one.startswith(harmful) for one in operands)


def _tar(arguments: list[str]) -> bool:
    first, *rest = arguments or [""]
    is_listing = re.fullmatch(r"-?[tvzjJfa]*t[tvzjJfa]*|--list", first) is not None
    return is_listing and all(
        re.fullmatch(r"[^-].*|-|-[tvzjJfaC]+|--(file|wildcards|verbose)(=.*)?", one) for one in rest
    )


def _kill(arguments: list[str]) -> bool:
    return arguments[:1] in (["-0"], ["-l"], ["-L"])


def _tee(arguments: list[str]) -> bool:
    streams = {"/dev/null", "/dev/tty", "/dev/stdout", "/dev/stderr"}
    return _creates([one for one in arguments if one not in streams and not one.startswith("/dev/fd/")])


def _date(arguments: list[str]) -> bool:
    names = "utc universal iso-8601 rfc-email rfc-3339= date= file= reference="
    operands = _options(arguments, letters="uR", valued="dfr", attached="I", names=names)
    return operands is not None and all(one.startswith("+") for one in operands)  # it sets the clock otherwise


def _wget(arguments: list[str]) -> bool:
    is_printed = any(re.fullmatch(r"-[qnv]*O-|--output-document=-", one) for one in arguments) or any(
        re.fullmatch(r"-[qnv]*O", one) and after == "-" for one, after in pairwise(arguments)
    )
    names = "quiet no-verbose output-document= timeout= tries= header= no-check-certificate"
    return is_printed and _options(arguments, letters="qvnS46", valued="OTtU", names=names) is not None


_CURL = "silent show-error location fail head include header= max-time= connect-timeout= retry= compressed user-agent= "
_NVIDIA = "query-gpu= query-compute-apps= format= list-gpus id= query loop="
_CHECKS: dict[str, Check] = {
    **dict.fromkeys(("awk", "gawk", "mawk", "nawk"), _awk),
    "cp": _copies_to_new,
    "ln": _copies_to_new,
    "curl": _only(
        None, letters="sSfLIivkg46N#", valued="HmAu", names=f"{_CURL}insecure no-progress-meter retry-delay="
    ),
    "wget": _wget,
    "perl": _perl,
    "date": _date,
    "dd": lambda arguments: not any(one.startswith("of=") for one in arguments),
    "file": _only(None, letters="bhikLNnprsvzZ0", valued="efF", names="brief mime mime-type mime-encoding dereference"),
    "find": _find,
    "git": _git,
    "history": _only(None, letters="r"),
    "hostname": _only(0, letters="sfidAIay", names="short fqdn long ip-address all-ip-addresses domain"),
    "iconv": _only(None, letters="lcs", valued="ft", names="from-code= to-code= list silent"),
    "kill": _kill,
    "less": _only(None, letters="RSNFXEeiMnqsr"),
    "lstopo": _only(0, valued="", names="no-graphics only= no-io"),
    "mkdir": lambda _: True,  # which never changes what is there
    **dict.fromkeys(("module", "ml"), _module),
    "mlxp": _is_one_of("table", "show", "diff", "output"),
    "nohup": lambda arguments: not os.path.lexists("nohup.out") and treatment(arguments) is Treatment.RUN,
    "rocm-smi": lambda arguments: all(
        re.fullmatch(r"--show\w+|--json|--csv|-[aitTupPdg]+|\d+", one) for one in arguments
    ),
    "scontrol": _is_one_of("show", "ping"),
    "sed": _sed,
    "shuf": _only(None, letters="ezr", valued="in", names="echo input-range= head-count= random-source= repeat"),
    "sort": _only(
        None,
        letters="bdfgiMhnRrVcCmsuz",
        valued="ktST",
        names="key= field-separator= reverse unique numeric-sort version-sort general-numeric-sort human-numeric-sort "
        "ignore-case stable check zero-terminated random-sort parallel= buffer-size= merge ignore-leading-blanks",
    ),
    "tar": _tar,
    "tee": _tee,
    "touch": _creates,
    "tree": _only(None, letters="adfilxpsugDFqNQrtcUChnv", valued="LPI", names="dirsfirst noreport du prune"),
    "uniq": _only(
        1, letters="cdDiuz", valued="fsw", names="count repeated unique ignore-case skip-fields= skip-chars="
    ),
    "unzip": lambda arguments: bool({"-l", "-t", "-v", "-Z", "-p"} & set(arguments[:1])),
    "xxd": _only(1, letters="abeEipruC", valued="clgos", names=""),
    "nvidia-smi": _only(0, letters="Lqx", valued="idl", names=_NVIDIA),
    **dict.fromkeys(
        ("conda", "mamba", "micromamba"),
        _is_one_of(*_names("activate deactivate reactivate info list shell shell.bash shell.posix search --")),
    ),
    **dict.fromkeys(("pip", "pip3"), _is_one_of("list", "show", "freeze", "check", "--")),
    "spack": _is_one_of("load", "unload", "find", "location", "arch", "--"),
}
"""Checks, by program, that tell whether its arguments make it only read, or only create what is new."""

DECIDED = frozenset({*_CHECKS, *_STARTERS})
"""The programs whose arguments are checked."""

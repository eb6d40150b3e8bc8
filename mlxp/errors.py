"""The errors that MLXP raises; each is also the built-in error that a caller would catch."""

__all__ = [
    "InvalidArtifactError",
    "InvalidConfigFileError",
    "InvalidKeyError",
    "InvalidMapError",
    "InvalidSchedulerError",
    "InvalidShellPathError",
    "JobSubmissionError",
    "LogDirectoryError",
    "MLXPError",
    "MissingFieldError",
    "QuerySyntaxError",
    "SweepError",
    "UnknownSystemError",
]


def shortened(text: str, most: int = 4000) -> str:
    """Return `text`, without its middle if it is longer than anyone would read.

    Examples
    --------
    >>> shortened("there is no field 'xxxxxxxxxxxx'", most=20)
    "there is n… (12 more characters) …xxxxxxxxx'"
    """
    half = most // 2
    return text if len(text) <= most else f"{text[:half]}… ({len(text) - most} more characters) …{text[-half:]}"


class MLXPError(Exception):
    """The base class of all errors that MLXP raises."""

    def __str__(self) -> str:
        # Some subclasses are also a KeyError, which would show its message in quotes.
        return shortened(str(self.args[0])) if self.args else ""


class InvalidKeyError(MLXPError, KeyError):
    """A name that does not exist or that is not allowed there: a metric, a column, a log name."""


class InvalidConfigFileError(MLXPError, ValueError):
    """An unknown or ill-typed setting of MLXP, in ``mlxp.yaml``, in the configuration or on the command line."""


class MissingFieldError(MLXPError, ValueError):
    """The configuration lacks a key that is needed."""


class InvalidArtifactError(MLXPError, ValueError):
    """An artifact of an unknown type, or one that its type cannot save, find or load."""


class InvalidMapError(MLXPError, ValueError):
    """A map that does not have the form ``(function, columns[, names])``."""


class QuerySyntaxError(MLXPError, SyntaxError, ValueError):
    """A query that is not valid in the reader's language; the message shows the place.

    It is also a `SyntaxError`, since MLXP 1 raised one.
    """


class InvalidSchedulerError(MLXPError, ValueError):
    """An unknown scheduler, or one that cannot be used here."""


class JobSubmissionError(MLXPError, RuntimeError):
    """A scheduler refused a job."""


class InvalidShellPathError(MLXPError, ValueError):
    """A shell that does not exist."""


class UnknownSystemError(MLXPError, OSError):
    """An operating system on which the operation is not possible."""


class LogDirectoryError(MLXPError, OSError):
    """The directory of a run, or a file in it, cannot be created, written or read."""


class SweepError(MLXPError, RuntimeError):
    """Some runs of a sweep failed.

    Attributes
    ----------
    results
        The task's value for each run, in the order of the sweep; ``None`` for a run that failed.
    log_ids
        The id of each run; ``None`` where the logger is disabled.
    """

    def __init__(
        self, message: str, results: list[object] | None = None, log_ids: list[int | None] | None = None
    ) -> None:
        super().__init__(message)
        self.results = results or []
        self.log_ids = log_ids or []

"""When records were logged: beside each metrics file, a text file of the sizes that it had, each with its time.

A size is noted at the first record of a process, and then at records that come a while after the last one that was
noted. So the price is none where records come fast, and each that comes alone has its own time.
"""

import contextlib
import os
import time
from pathlib import Path


def note_time(times_file: Path, metrics_file: Path, started_at: float) -> None:
    """Note that a metrics file has its size now; nothing happens where that cannot be written.

    Parameters
    ----------
    times_file
        Begins with the size 0 and `started_at`, if it is not there yet.
    started_at
        When the run started, in seconds since 1970.
    """
    with contextlib.suppress(OSError):  # a run does not fail for want of a time
        descriptor = os.open(times_file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            last = os.fstat(descriptor).st_size
            text = f"{metrics_file.stat().st_size} {time.time():.3f}\n"
            if not last:
                text = f"0 {started_at:.3f}\n{text}"
            elif not _ends_a_line(descriptor, last):  # a killed process has left half of one
                text = f" torn\n{text}"
            os.write(descriptor, text.encode("ascii"))
        finally:
            os.close(descriptor)


def _ends_a_line(descriptor: int, size: int) -> bool:
    os.lseek(descriptor, size - 1, os.SEEK_SET)
    return os.read(descriptor, 1) == b"\n"

"""A task that does what its configuration says: return, fail, exit, sleep or send itself a signal."""

import logging
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import mlxp


class StrangeError(Exception):
    """An exception that cannot be unpickled."""

    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


class MyLogger(mlxp.DefaultLogger):
    def __init__(self, parent_log_dir, forced_log_id, log_streams_to_file=False, colour="red"):
        super().__init__(parent_log_dir, forced_log_id, log_streams_to_file=log_streams_to_file)
        self.colour = colour


def eat(ctx):
    """Use more memory than a job of the tests may."""
    eaten = bytearray(900 << 20)
    eaten[::4096] = b"x" * len(eaten[::4096])


def sleep(ctx):
    ctx.logger.log_metrics({"pid": os.getpid()}, "started")
    Path(f"started-{ctx.config.number}").write_text(str(os.getpid()), encoding="utf-8")
    time.sleep(float(os.environ.get("SLEEP", "120")))


def sleep_at_first(ctx):
    Path(f"started-{ctx.config.number}").write_text(str(os.getpid()), encoding="utf-8")
    while not Path("go-on").exists():
        time.sleep(0.05)
    if ctx.config.number == 1 and ctx.info.attempt == 1:
        time.sleep(60)
    return ctx.config.number


def die_beside(ctx):
    Path(f"started-{ctx.config.number}").touch()
    while not (Path("started-1").exists() and Path("started-2").exists()):
        time.sleep(0.05)
    if ctx.config.number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def resume(ctx):
    try:
        epoch = ctx.logger.load_checkpoint("last_ckpt")["epoch"] + 1
    except FileNotFoundError:
        epoch = 0
    ctx.logger.log_metrics({"epoch": epoch}, "train")
    ctx.logger.log_checkpoint({"epoch": epoch}, "last_ckpt")


def say(ctx):
    print("said by python")
    print("complained by python", file=sys.stderr)
    subprocess.run(["sh", "-c", "echo said by a child; echo complained by a child >&2"], check=True)


def fork(ctx):
    """Leave a copy of the process that comes back from the task before the run itself does."""
    child = os.fork()
    if child == 0:
        ACTIONS[ctx.config.child](ctx)
        return None
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def terminate_worker(ctx):
    import multiprocessing

    context = multiprocessing.get_context("fork")
    works = context.Event()
    worker = context.Process(target=lambda: (works.set(), time.sleep(60)))
    worker.start()
    works.wait()
    worker.terminate()
    worker.join()
    return worker.exitcode


def pool(ctx):
    """Start and stop workers, whose parent ends them by a signal, a few times."""
    import multiprocessing

    for _ in range(ctx.config.number):
        with multiprocessing.get_context("fork").Pool(3) as workers:
            workers.map(abs, range(3))
    return "ended"


def handlers_of_child(ctx):
    child = os.fork()
    if child == 0:
        names = ("SIGTERM", "SIGHUP", "SIGUSR1", "SIGINT")
        own = [signal.getsignal(getattr(signal, name)) for name in names]
        plain = own == [signal.SIG_DFL] * 3 + [signal.default_int_handler]
        os._exit(0 if plain and not signal.pthread_sigmask(signal.SIG_BLOCK, ()) else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def odd_info(ctx):
    ctx.info["odd"] = object()


def fill(ctx):
    while True:
        ctx.logger.log_metrics({"text": "x" * 1000}, "train")


def leave_child(ctx):
    child = subprocess.Popen(["sleep", "60"], start_new_session=True)
    Path("child").write_text(str(child.pid), encoding="utf-8")


class LoggerWithoutServer(mlxp.DefaultLogger):
    def __init__(self, parent_log_dir, forced_log_id=-1, log_streams_to_file=False):
        raise ConnectionError("there is no server")


class BrokenLogger(mlxp.DefaultLogger):
    def close(self):
        super().close()
        raise RuntimeError("cannot close")


def instantiate(ctx):
    from hydra.utils import instantiate

    return instantiate({"_target_": "operator.truediv", "_args_": [1, 0]})


def fill_output_directory(ctx):
    from hydra.core.hydra_config import HydraConfig

    directory = HydraConfig.get().runtime.output_dir
    Path(directory, "mine.txt").write_text("precious", encoding="utf-8")
    print(directory)


ACTIONS = {
    "value": lambda ctx: ctx.config.number,
    "random": lambda ctx: random.random(),
    "fail": lambda ctx: 1 / 0,
    "strange": lambda ctx: (_ for _ in ()).throw(StrangeError(1, 2)),
    "instantiate": instantiate,
    "output-directory": fill_output_directory,
    "eat": eat,
    "exit": lambda ctx: sys.exit(ctx.config.number),
    "exit-with-words": lambda ctx: sys.exit("out of luck"),
    "signal": lambda ctx: os.kill(os.getpid(), getattr(signal, ctx.config.signal)),
    "sleep": sleep,
    "sleep-at-first": sleep_at_first,
    "die-beside": die_beside,
    "resume": resume,
    "say": say,
    "config": lambda ctx: print(type(ctx.config).__name__, type(ctx.config.model).__name__, "mlxp" in ctx.config),
    "logger": lambda ctx: print(type(ctx.logger).__name__, getattr(ctx.logger, "colour", None)),
    "settings": lambda ctx: print(ctx.mlxp.use_logger, ctx.mlxp.interactive_mode, ctx.mlxp.logger.forced_log_id),
    "warn": lambda ctx: logging.getLogger("mine").warning("mind the gap"),
    "argv": lambda ctx: print(sys.argv[1:]),
    "fork": fork,
    "terminate-worker": terminate_worker,
    "pool": pool,
    "handlers-of-child": handlers_of_child,
    "odd-info": odd_info,
    "close-stdout": lambda ctx: sys.stdout.close(),
    "no-stdout": lambda ctx: setattr(sys, "stdout", None),
    "fill": fill,
    "leave-child": leave_child,
    "pid": lambda ctx: print("pid", os.getpid()),
}


def seeded(seed):
    random.seed(seed)


@mlxp.launch(config_path="configs", seeding_function=seeded)
def task(ctx: mlxp.Context):
    return ACTIONS[ctx.config.action](ctx)


if __name__ == "__main__":
    print("returned", task())

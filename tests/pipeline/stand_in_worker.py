"""A worker that trains nothing: the names of the models say how each job ends.

It leaves a file `NAME.begun` and `NAME.done` for each job in the run's folder.
"""

import os
import signal
import sys
import threading
import time
from pathlib import Path

from goldfold.errors import InputError, Stopped
from goldfold.pipeline.job_worker import serve


class Request:
    number = 0


def asked(number, frame):
    Request.number = number


def open_worker(opening, reports):
    root = Path(opening.run)
    number = os.environ["CUDA_VISIBLE_DEVICES"]
    if (root / f"refuse-{number}").exists():
        (root / f"refused-{number}").touch()
        raise InputError("this device is broken")
    for other in root.glob("lives-*"):
        if Path(f"/proc/{other.name.removeprefix('lives-')}").exists():
            (root / "side-by-side").touch()
    here = root / f"starting-{os.getpid()}"
    here.write_text(f"{opening.device} {number} {opening.workers}")
    here.rename(root / f"worker-{os.getpid()}")  # whole, or not there
    reports.send("ready", device="a stand-in", note="")

    def perform(order, progress):
        job = order.job
        name = f"{job['kind']}-{job['model']}-{job['fold']}-{job['part']}"
        (root / f"{name}.begun").write_text(str(os.getpid()))
        print(f"printed by {name}")
        progress.say(f"{job['model']} fold-{job['fold']} stage-{job['part']}: said")
        progress.say("device: told already")
        progress.warn("the same for all")
        progress.say("out of memory: continuing with less")
        with progress.task("work", 4) as task:
            task.advance(2, epoch="1/2", loss=0.5)
            if job["model"] in ("lingers", "deaf", "mute"):
                (root / f"lives-{os.getpid()}").touch()
                threading.Thread(target=outlive, args=(root,)).start()
            if job["model"] == "mute":
                reports._stream.close()
            if job["model"] == "lingers":
                raise InputError("a fault")
            if job["model"] == "fails":
                raise ValueError("a fault\nin two lines")
            if job["model"] == "mistake":
                raise InputError("a mistake")
            if job["model"] == "dies":
                os.kill(os.getpid(), signal.SIGKILL)
            if job["model"] == "late":
                raise Stopped(f"saved with {order.stop_after:.0f} s left", 75)
            if job["model"] == "meets":
                meet(root)
            if job["model"] == "waits":
                wait(root, name)
            task.advance(2)
        (root / f"{name}.done").write_text("")

    return perform


def outlive(root):
    """Keep the process from ending, and leave a file if nobody minds."""
    time.sleep(10)
    (root / "outlived").touch()


def meet(root):
    """Wait until both devices are there, or are refused, or one does all the work."""
    until = time.monotonic() + 20
    while len([*root.glob("worker-*"), *root.glob("refused-*")]) < 2 and time.monotonic() < until:
        time.sleep(0.01)


def wait(root, name):
    """Do as a training does: until a signal comes, then save."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, asked)
    (root / f"{name}.waiting").write_text(str(os.getpid()))
    while not Request.number:
        time.sleep(0.01)
    (root / f"{name}.saved").write_text(str(Request.number))
    raise Stopped(f"stopped by {signal.Signals(Request.number).name}; saved", 128 + Request.number)


if __name__ == "__main__":
    sys.exit(serve(open_worker))

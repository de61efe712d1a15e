"""Runs goldfold commands in forks of one process that has imported everything, and kills them.

Reads one JSON request a line from stdin and answers each with one line: the exit code, minus the
signal for a process that died of one. A request says at which call of which function the
process sends itself the signal:

    {"words": ["run", "DIR"], "err": "FILE", "at": "module:attribute", "call": 1,
     "when": "before" | "after" | "halfway", "argument": "end of the first argument, as text",
     "signal": 9}

`halfway` passes the first half of the last argument on, then dies: a torn write.
"""

import json
import os
import sys
from dataclasses import replace
from importlib import import_module

IMPORTS = (
    "goldfold.commands.app",
    "goldfold.competitions.image_collection",
    "goldfold.ensemble.blend",
    "goldfold.ensemble.honest",
    "goldfold.folds.audit",
    "goldfold.inference.predict",
    "goldfold.submissions.score",
    "goldfold.training.fold_run",
    "segmentation_models_pytorch",
)


def arm(request):
    """Replace the function by one that kills this process at the call that was asked for."""
    module, _, path = request["at"].partition(":")
    owner = import_module(module)
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    real = getattr(owner, name)
    calls = 0

    def die():
        os.kill(os.getpid(), request.get("signal", 9))

    def armed(*args, **kwargs):
        nonlocal calls
        calls += str(args[0]).endswith(request.get("argument", ""))
        due = calls == request.get("call", 1)
        if due and request["when"] == "before":
            die()
        if due and request["when"] == "halfway":
            real(*args[:-1], args[-1][: len(args[-1]) // 2])
            die()
        result = real(*args, **kwargs)
        if due and request["when"] == "after":
            die()
        return result

    setattr(owner, name, armed)


def run(request):
    """Run the command in this process, which ends with it."""
    from goldfold.commands.app import app

    errors = os.open(request["err"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(errors, 1)
    os.dup2(errors, 2)
    if "at" in request:
        arm(request)
    app(request["words"], prog_name="goldfold")


def main():
    for name in IMPORTS:
        import_module(name)
    # A state after every epoch, or there would be none to resume from.
    machine = sys.modules["goldfold.training.runtime"].Machine
    choose = machine.choose
    machine.choose = lambda *words: replace(choose(*words), state_seconds=0.0)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            run(json.loads(line))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()

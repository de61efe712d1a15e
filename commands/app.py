"""The `goldfold` command: its tree, and what it does with an error."""

from __future__ import annotations

import inspect
import os
import sys
import traceback
from typing import Annotated, Any

import typer
import typer.core

from goldfold.commands import (
    check,
    competition,
    config,
    demo,
    ensemble,
    export,
    folds,
    images,
    init,
    predict,
    run,
    submit,
    train,
)
from goldfold.errors import GoldfoldError

RESUMED = ("run", "train", "predict", "demo")
"""Commands that resume where they were interrupted; the others start again."""

TRACEBACK_VARIABLE = "GOLDFOLD_TRACEBACK"
"""Environment variable that shows where an unforeseen error came from."""


class Tree(typer.core.TyperGroup):
    """The command tree; what a command raises on purpose becomes a message and an exit code."""

    def invoke(self, context: Any) -> Any:
        """Run a command.

        Exit codes: 0 done, 1 failed, 2 wrong use or bad input, 130 interrupted.
        """
        from goldfold.commands import show

        try:
            return super().invoke(context)
        except GoldfoldError as error:
            show.error(str(error))
            sys.exit(error.exit_code)
        except KeyboardInterrupt:
            resumes = context.invoked_subcommand in RESUMED
            tail = " The same command resumes where it stopped." if resumes else ""
            show.error(f"interrupted.{tail}")
            sys.exit(130)
        except BrokenPipeError:
            raise  # the reader of a pipe left (`| head`): Typer ends quietly
        except OSError as error:
            # What no package foresaw: a disk that went away, a network share that timed out.
            show.error(f"{error.filename or 'a file'}: {error.strerror or error}.")
            sys.exit(1)
        except Exception as error:
            # Typer's own (wrong use, --help) carry their exit code; it shows them itself.
            if hasattr(error, "exit_code") or isinstance(error, typer.Abort):
                raise
            show.error(_explain(error))
            sys.exit(1)


def _explain(error: Exception) -> str:
    """Return what to say of an error that nobody foresaw; the traceback only if it is asked for."""
    if _is_out_of_memory(error):
        return "out of memory. Lower batch_size or image_size, or close other programs."
    if os.environ.get(TRACEBACK_VARIABLE):
        return traceback.format_exc().rstrip()
    return (
        f"{type(error).__name__}: {error}\nThis is a fault of goldfold, not of your input. "
        f"Set {TRACEBACK_VARIABLE}=1 to see where, and please report it."
    )


def _is_out_of_memory(error: Exception) -> bool:
    """Return whether Python or PyTorch (which raises RuntimeError) has run out of memory."""
    text = str(error)
    return isinstance(error, MemoryError) or "out of memory" in text or "t allocate memory" in text


app = typer.Typer(
    name="goldfold",
    cls=Tree,
    help="From a folder of medical images and a label table to a scored submission.\n\n"
    "Start with:\n\n"
    "goldfold init siim-acr-pneumothorax --data DATA -o runs/first",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from goldfold import __version__

        print(f"goldfold {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """From a folder of medical images and a label table to a scored submission."""


app.command("init")(init.init)
app.command("check")(check.check)
app.command("run")(run.run)
app.command("demo")(demo.demo)
app.command("export")(export.export)
app.add_typer(folds.app, name="folds")
app.add_typer(train.app, name="train")
app.add_typer(predict.app, name="predict")
app.add_typer(ensemble.app, name="ensemble")
app.add_typer(submit.app, name="submit")
app.add_typer(competition.app, name="competition")
app.add_typer(images.app, name="images")
app.add_typer(config.app, name="config")


def _keep_examples_whole(tree: typer.Typer) -> None:
    """Put Typer's mark for lines that must not be wrapped before each example."""
    for command in tree.registered_commands:
        text = inspect.cleandoc((command.callback and command.callback.__doc__) or "")
        command.help = text.replace("Example:\n", "\b\nExample:\n  ")
    for group in tree.registered_groups:
        if group.typer_instance is not None:
            _keep_examples_whole(group.typer_instance)


_keep_examples_whole(app)

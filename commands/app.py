"""The `goldfold` command: its tree, and what it does with an error."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
import typer.core

from goldfold.commands import (
    check,
    competition,
    config,
    demo,
    ensemble,
    folds,
    init,
    predict,
    run,
    submit,
    train,
)
from goldfold.errors import GoldfoldError


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
            show.error("interrupted. The same command goes on where it stopped.")
            sys.exit(130)
        except BrokenPipeError:
            raise  # the reader of a pipe left (`| head`): Typer ends quietly
        except OSError as error:
            # What no room foresaw: a disk that went away, a network share that timed out.
            show.error(f"{error.filename or 'a file'}: {error.strerror or error}.")
            sys.exit(1)
        except (MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            show.error("out of memory. Lower batch_size or image_size, or close other programs.")
            sys.exit(1)


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
app.add_typer(folds.app, name="folds")
app.add_typer(train.app, name="train")
app.add_typer(predict.app, name="predict")
app.add_typer(ensemble.app, name="ensemble")
app.add_typer(submit.app, name="submit")
app.add_typer(competition.app, name="competition")
app.add_typer(config.app, name="config")

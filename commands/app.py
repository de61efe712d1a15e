"""The `goldfold` command: its tree, and what it does with an error."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

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


class Command(typer.Typer):
    """A Typer tree that shows our own errors as messages with their exit codes."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command line.

        Exit codes: 0 done, 1 failed, 2 wrong use or bad input, 130 interrupted.
        """
        from goldfold.commands import show

        try:
            return super().__call__(*args, **kwargs)
        except GoldfoldError as error:
            show.error(str(error))
            sys.exit(error.exit_code)
        except MemoryError:
            show.error("out of memory. Lower batch_size or image_size, or close other programs.")
            sys.exit(1)
        except OSError as error:
            # What no room foresaw: a disk that went away, a network share that timed out.
            show.error(f"{error.filename or 'a file'}: {error.strerror or error}.")
            sys.exit(1)
        except KeyboardInterrupt:
            show.error("interrupted. The same command goes on where it stopped.")
            sys.exit(130)


app = Command(
    name="goldfold",
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

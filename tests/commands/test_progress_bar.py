"""The bar, drawn on consoles of several widths."""

import io

import pytest
from rich.console import Console
from rich.text import Text

from goldfold.commands.progress_bar import TerminalProgress, wrap

FIELDS = {
    "loss": 0.4321, "lr": 9.3e-4, "images_per_s": 123.4, "epoch": "12/40", "non_empty": 0.234,
    "dice": 0.8123, "best": 0.8234,
}  # fmt: skip


def draw(width, description="train unet-resnet34 fold-0", total=12_000, steps=400, **fields):
    """Return the lines that stand on the terminal in the midst of the work."""
    console = Console(file=io.StringIO(), force_terminal=True, width=width)
    with TerminalProgress(console).task(description, total) as task:
        task.pace.began -= 24
        if steps:
            task.advance(steps, **fields)
        coloured = Console(
            file=io.StringIO(), force_terminal=True, width=width, color_system="standard"
        )
        coloured.print(task.render())
    plain = Text.from_ansi(coloured.file.getvalue()).plain
    return [line.rstrip() for line in plain.splitlines()]


def test_everything_is_seen_at_80_columns():
    assert draw(80, **FIELDS) == [
        "train unet-resnet34 fold-0 ╸━━━━━━━━━━━━━━━━━━━━━━ 400/12,000 about 12 min left",
        "  epoch 12/40  loss 0.4321  Dice 0.8123  best 0.8234  non-empty 23.4%",
        "  learning rate 9.3e-04  123.4 images/s",
    ]


def test_at_120_columns_the_fields_take_one_line():
    first, second = draw(120, **FIELDS)
    assert first.endswith(" 400/12,000 about 12 min left")
    assert second.split("  ")[-1] == "123.4 images/s"


@pytest.mark.parametrize("width", [60, 70, 80, 100, 120, 200])
@pytest.mark.parametrize("name", ["a", "train a-model-with-a-rather-long-name seed-0 fold-0"])
def test_no_width_loses_the_count_the_time_or_a_field(width, name):
    lines = draw(width, name, **FIELDS)
    assert all(len(line) <= width for line in lines)
    assert lines[0].startswith(name[:8])
    assert "━━━━" in lines[0]
    assert lines[0].endswith(" 400/12,000 about 12 min left")
    shown = " ".join(lines[1:])
    for text in ("epoch 12/40", "loss 0.4321", "Dice 0.8123", "best 0.8234", "non-empty 23.4%",
                 "learning rate 9.3e-04", "123.4 images/s"):  # fmt: skip
        assert text in shown


def test_before_the_first_step_and_after_the_last():
    (line,) = draw(80, steps=0)
    assert line.endswith(" 0/12,000 for 24 s")
    (line,) = draw(80, total=400)
    assert line.endswith(" 400/400 in 24 s")


def test_what_is_said_stands_above_the_bar_and_is_no_markup():
    file = io.StringIO()
    progress = TerminalProgress(Console(file=file, force_terminal=True, width=80))
    with progress.task("work [1]", 2) as task:
        progress.say("[not markup]")
        progress.warn("careful")
        task.advance(2, loss=0.5)
    text = file.getvalue()
    for words in ("work [1]", "2/2", "loss 0.5000", "[not markup]", "warning: careful"):
        assert words in text


def test_nothing_to_do_draws_nothing():
    file = io.StringIO()
    progress = TerminalProgress(Console(file=file, force_terminal=True, width=80))
    with progress.task("work", 0) as task:
        task.advance(0)
    assert file.getvalue() == ""


def test_a_field_wider_than_the_line_has_one_of_its_own():
    assert wrap(["aaaa", "b", "c"], 3) == ["aaaa", "b", "c"]
    assert wrap([], 10) == []

"""`init --from`, `check`, `folds build` and a tiny `run` on layouts of real competitions.

Run: python benchmarks/competition_layouts.py [--only DSB2018 LGG] [--without-run] [--keep FOLDER]
     python benchmarks/competition_layouts.py --cases FOLDER [--only NAME ...]

Without --cases it writes small folders of noise and drawn shapes, laid out as public descriptions
of competitions say (benchmarks/layouts/), and holds what goldfold reads against what was drawn:
mask areas, labels, groups. Questions that `init` asks are answered only where the layout says that
a question is right. "Silently wrong" is what must never be: check has no problem, yet the truth
differs.

With --cases it runs folders of cases, each with data/, perhaps goldfold.toml, and a README whose
line "Do:" names a command; the table has exit codes and last words. For a comparison run it with
two checkouts: --goldfold names the command.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomlkit
from layouts import classes, masks
from layouts.truth import KEPT, Layout, Truth, disagreements

LAYOUTS = [*masks.LAYOUTS, *classes.LAYOUTS]
NETWORKS = {
    "segmentation": {
        "encoder": "tu-test_resnet",
        "options": {"decoder_channels": [16, 8, 8, 8, 8]},
    },
    "other": {"architecture": "Classifier", "encoder": "test_resnet"},
}
SHORT = ["folds.count=2", "ensemble.bootstrap_samples=100", "inference.checkpoints=1", "workers=1"]
_PROGRESS = re.compile(r"^(reading|decoding|measuring|hashing|train |predict |next: |\s*$)")
_LONGEST = 110


@dataclass
class Outcome:
    """How one command ended."""

    code: int
    text: str

    @property
    def last_words(self) -> str:
        """Problems if there are any, else the last line that is no progress."""
        lines = [line.strip() for line in self.text.splitlines() if not _PROGRESS.match(line)]
        for place, line in enumerate(lines):
            if line.startswith(("PROBLEM", "error:")):
                return shortened(
                    " ".join(lines[place : place + 2 if line.endswith(":") else place + 1])
                )
        return shortened(lines[-1] if lines else "")


@dataclass
class Story:
    """What became of one layout.

    Attributes:
        said: task, labels and group that `init` wrote.
        codes: exit codes by command.
        wrong: what images.csv and folds.csv have wrong.
        asked: questions that were open.
        words: last words of the command that ended it.
        seconds: of all commands.
    """

    said: str = "-"
    codes: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    words: str = ""
    seconds: float = 0.0

    def verdict(self, layout: Layout) -> str:
        """Return in a word or two whether that is right."""
        if self.wrong:
            caught = self.codes.get("check", 2) != 0
            return "wrong, and stopped" if caught else "SILENTLY WRONG"
        ended = all(code == 0 for code in self.codes.values()) and "folds" in self.codes
        if ended:
            return "right, asked" if self.asked else "right"
        if any(code not in (0, 2) for code in self.codes.values()):
            return "FAILED"
        return "refused, rightly" if layout.may_refuse else "refused"


class Commands:
    """Runs goldfold and keeps the time."""

    def __init__(self, goldfold: Sequence[str]) -> None:
        """Take the command, in words."""
        self.goldfold, self.seconds = list(goldfold), 0.0

    def __call__(self, *words: object, folder: Path | None = None) -> Outcome:
        """Run a command of goldfold in a folder."""
        began = time.perf_counter()
        done = subprocess.run(
            [*self.goldfold, *map(str, words)],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        self.seconds += time.perf_counter() - began
        return Outcome(done.returncode, done.stdout + done.stderr)


def shortened(text: str) -> str:
    """Return text for a cell of a Markdown table."""
    text = text.replace("|", "/")
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."


def try_layout(layout: Layout, folder: Path, commands: Commands, *, runs: bool) -> Story:
    """Write a layout into a folder and let goldfold go through it."""
    story, data, run = Story(), folder / "data", folder / "run"
    data.mkdir(parents=True)
    truth = layout.write(data)
    commands.seconds = 0.0
    _go_through(story, layout, truth, data, run, commands, runs=runs)
    story.seconds = commands.seconds
    return story


def _go_through(
    story: Story,
    layout: Layout,
    truth: Truth,
    data: Path,
    run: Path,
    commands: Commands,
    *,
    runs: bool,
) -> None:
    done = commands("init", "--from", data, "-o", run, "--no-measure")
    story.codes["init"], story.words = done.code, done.last_words
    if done.code:
        return
    if again := reinit_settings(run / "goldfold.toml", layout):
        words = [word for each in again for word in ("--set", each)]
        commands("init", "--from", data, "-o", run, "--no-measure", "--overwrite", *words)
    story.said = described(run / "goldfold.toml")
    done = commands("check", run)
    story.asked = [each.split("=")[0] for each in again]
    if answered := answer(run / "goldfold.toml", layout, done):
        story.asked += answered
        done = commands("check", run)
    story.codes["check"], story.words = done.code, done.last_words
    if (run / "images.csv").is_file():
        story.wrong = disagreements(truth, run / "images.csv", run / "folds.csv")
    if done.code:
        return
    settings = [word for each in tiny_settings(run / "goldfold.toml") for word in ("--set", each)]
    done = commands("folds", "build", run, *settings)
    story.codes["folds"], story.words = done.code, done.last_words
    story.wrong = disagreements(truth, run / "images.csv", run / "folds.csv")
    if done.code or not runs:
        return
    done = commands("run", run, *settings)
    story.codes["run"], story.words = done.code, done.last_words


def tiny_settings(toml: Path) -> list[str]:
    """Return settings with which a run takes seconds; the loss stays that of the recipe."""
    content: dict[str, Any] = tomllib.loads(toml.read_text("utf-8"))
    masks = content["competition"].get("task", "segmentation") == "segmentation"
    loss = content["models"][0]["stages"][0].get("loss", {})
    stage = {"epochs": 1, "image_size": 64, "batch_size": 4, "loss": loss}
    model = {"name": "tiny", **NETWORKS["segmentation" if masks else "other"], "stages": [stage]}
    return [f"models={in_line([model])}", *SHORT]


def in_line(value: Any) -> str:
    """Return a value in one line of TOML."""
    if isinstance(value, dict):
        pairs = (f"{json.dumps(key)} = {in_line(item)}" for key, item in value.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list):
        return f"[{', '.join(in_line(item) for item in value)}]"
    return json.dumps(value)


def reinit_settings(toml: Path, layout: Layout) -> list[str]:
    """Return the answers to questions that want the settings to be written anew, for --set."""
    questions = tomllib.loads(toml.read_text("utf-8")).get("questions", {})
    return [
        f"{setting}={layout.answers[setting]}"
        for setting, text in questions.items()
        if "goldfold init --from" in text and layout.answers.get(setting, KEPT) != KEPT
    ]


def described(toml: Path) -> str:
    """Return what `init` decided: task, kind of labels, where they are, metric and group."""
    content: dict[str, Any] = tomllib.loads(toml.read_text("utf-8"))
    form = content["competition"]
    labels = form.get("labels", {})
    named = [
        str(labels[key]) for key in ("id_column", "rle_column", "class_column") if key in labels
    ]
    groups = content.get("folds", {}).get("group", "-")
    kinds = len(form.get("classes", [])) or "-"
    parts = [form.get("task", "segmentation"), labels.get("kind", "-"), " ".join(named)]
    return ", ".join([*filter(None, parts), f"{kinds} classes", f"group {groups}"])


def answer(toml: Path, layout: Layout, checked: Outcome) -> list[str]:
    """Answer the questions that were asked and may be, and return their settings."""
    document = tomlkit.parse(toml.read_text("utf-8"))
    questions = document.get("questions", {})
    grouped = "looks like a group" in checked.text
    asked = [
        setting
        for setting in layout.answers
        if setting in questions or (setting == "folds.group" and checked.code and grouped)
    ]
    for setting in asked:
        if layout.answers[setting] == KEPT:
            del questions[setting]
            continue
        value = tomllib.loads(f"value = {layout.answers[setting]}")["value"]
        *tables, name = setting.split(".")
        table: Any = document
        for key in tables:
            table = table.setdefault(key, tomlkit.table())
        if value == "none" and setting == "folds.group":
            table["not_groups"] = re.findall(r'column "([^"]+)" of', checked.text)
        table[name] = value
        if setting in questions:
            del questions[setting]
    if asked:
        toml.write_text(tomlkit.dumps(document), "utf-8")
    return asked


def layouts_table(stories: Sequence[tuple[Layout, Story]]) -> list[str]:
    """Return the lines of a Markdown table."""
    lines = [
        "| layout | what init said | verdict | asked | init, check, folds, run | s | words |",
        "|---|---|---|---|---|---|---|",
    ]
    for layout, story in stories:
        codes = " ".join(str(code) for code in story.codes.values())
        ended_well = set(story.codes.values()) == {0}
        words = "; ".join(story.wrong) or ("" if ended_well else story.words)
        asked = ", ".join(story.asked) or "-"
        cells = [layout.name, story.said, story.verdict(layout), asked, codes]
        lines.append(f"| {' | '.join([*cells, f'{story.seconds:.0f}', shortened(words)])} |")
    return lines


def try_case(case: Path, folder: Path, commands: Commands) -> list[tuple[str, Outcome]]:
    """Copy a case and run what its README says; return each command with its outcome."""
    copy = folder / case.name
    shutil.copytree(case, copy)
    readme = (copy / "README").read_text("utf-8") if (copy / "README").is_file() else ""
    told = re.search(r"^Do:\s*goldfold (.+)$", readme, re.MULTILINE)
    words = shlex.split(told[1]) if told else ["check", "RUN"]
    if words[:2] == ["images", "convert"]:
        steps = [["images", "convert", "data/train", "-o", "OUT"]]
        return _steps(steps, copy, commands)
    run, steps = ".", []
    if not (copy / "goldfold.toml").is_file():
        run, steps = "RUN", [["init", "--from", "data", "-o", "RUN", "--no-measure"]]
    changed = [word for i, word in enumerate(words) if "--set" in (word, words[i - 1])]
    steps += [["check", run, *changed], ["folds", "build", run, *changed]]
    if words[0] == "run":
        steps.append(["run", run, *changed])
    return _steps(steps, copy, commands)


def _steps(
    steps: Sequence[Sequence[str]], folder: Path, commands: Commands
) -> list[tuple[str, Outcome]]:
    """Run commands until one fails."""
    done = []
    for words in steps:
        done.append((words[0], commands(*words, folder=folder)))
        if done[-1][1].code:
            break
    return done


def cases_table(stories: Sequence[tuple[str, list[tuple[str, Outcome]]]]) -> list[str]:
    """Return the lines of a Markdown table."""
    lines = ["| case | exit codes | last words |", "|---|---|---|"]
    for name, steps in stories:
        codes = ", ".join(f"{command} {outcome.code}" for command, outcome in steps)
        lines.append(f"| {name} | {codes} | {steps[-1][1].last_words} |")
    return lines


def main() -> None:
    """Run the layouts, or the cases, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", default=[], help="names; all unless given")
    parser.add_argument("--cases", type=Path, help="folder of cases, run in place of the layouts")
    parser.add_argument("--without-run", action="store_true", help="end after `folds build`")
    parser.add_argument("--keep", type=Path, help="folder for the files, which are kept")
    parser.add_argument(
        "--goldfold", default=f"{shlex.quote(sys.executable)} -m goldfold", help="the command"
    )
    given = parser.parse_args()
    commands = Commands(shlex.split(given.goldfold))
    with tempfile.TemporaryDirectory() as temporary:
        root = given.keep or Path(temporary)
        if given.cases is not None:
            cases = sorted(path for path in given.cases.iterdir() if (path / "data").is_dir())
            chosen = [case for case in cases if not given.only or case.name in given.only]
            tried = [(case.name, try_case(case, root, commands)) for case in chosen]
            print("\n".join(cases_table(tried)))
            return
        stories = []
        for layout in LAYOUTS:
            if given.only and layout.name not in given.only:
                continue
            folder = root / re.sub(r"\W+", "-", layout.name)
            story = try_layout(layout, folder, commands, runs=not given.without_run)
            stories.append((layout, story))
            print(f"{layout.name}: {story.verdict(layout)}", file=sys.stderr, flush=True)
        print("\n".join(layouts_table(stories)))


if __name__ == "__main__":
    main()

"""What the documents say is there, and works as they say."""

import contextlib
import io
import re
import shlex
import tomllib
from pathlib import Path

import numpy as np
import pytest
import typer.main

ROOT = Path(__file__).parents[1]
DOCS = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "benchmarks" / "README.md",
]
README = ROOT / "README.md"
GLOSSARY = ROOT / "docs" / "glossary.md"
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
HIDDEN = {"build", "dist", "demo", "runs", "data", "site"}  # made by use, or ignored by git


def text_of(path):
    return path.read_text(encoding="utf-8")


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def blocks(path, language=""):
    """Return the contents of the fenced blocks of a language, in order."""
    fences = re.findall(r"^```(\w*)\n(.*?)^```$", text_of(path), flags=re.M | re.S)
    return [content for found, content in fences if found == language]


def commands_in(path):
    """Return every command line that starts with goldfold: in blocks after `$ `, and in spans."""
    prose = re.sub(r"^```.*?^```$", "", text_of(path), flags=re.M | re.S)
    spans = re.findall(r"`(goldfold [^`]+)`", prose)
    lines = [line for block in blocks(path) for line in block.splitlines()]
    return spans + [line.removeprefix("$ ") for line in lines if line.startswith("$ goldfold ")]


def command_options():
    """Return words -> options of every command, e.g. ('folds', 'build') -> {'--json', ...}."""
    from goldfold.commands.app import app

    found = {}

    def walk(words, command):
        names = {name for p in command.params for name in [*p.opts, *p.secondary_opts]}
        found[words] = names | {"--help"}
        for name, child in getattr(command, "commands", {}).items():
            walk((*words, name), child)

    walk((), typer.main.get_command(app))
    return found


@pytest.mark.parametrize("path", DOCS, ids=name_of)
def test_the_commands_and_their_options_exist(path):
    known = command_options()
    wrong = []
    for line in commands_in(path):
        said = shlex.split(line, comments=True)[1:]
        words = ()
        while len(words) < len(said) and (*words, said[len(words)]) in known:
            words = (*words, said[len(words)])
        group = any(len(other) > len(words) and other[: len(words)] == words for other in known)
        rest = said[len(words) :]
        if group and rest and not rest[0].startswith("-"):
            wrong.append(f"no such command: {line}")
        asked = {word.split("=")[0] for word in rest if word.startswith("-")}
        wrong += [f"no option {option}: {line}" for option in asked - known[words]]
    assert wrong == []


def test_the_readme_names_every_command():
    known = set(command_options())
    leaves = {w for w in known if w and not any(o != w and o[: len(w)] == w for o in known)}
    said = {tuple(shlex.split(line)[1:]) for line in commands_in(README)}
    missing = {words for words in leaves if not any(s[: len(words)] == words for s in said)}
    assert missing == set()


def test_the_readme_runs_as_it_says():
    (code,) = blocks(README, "python")
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        exec(compile(code, "README.md", "exec"), {"__name__": "readme"})
    expected = blocks(README)[blocks_before_python(README)]
    assert shown.getvalue().strip() == expected.strip()


def blocks_before_python(path):
    """Return how many plain blocks stand before the Python block: the place of its output."""
    languages = re.findall(r"^```(\w*)\n.*?^```$", text_of(path), flags=re.M | re.S)
    return languages[: languages.index("python")].count("")


def test_the_tour_from_python_runs_as_it_says(tmp_path, monkeypatch):
    """Blocks share their names; the plain block behind one is what it prints."""
    monkeypatch.chdir(tmp_path)
    path, names, printed = ROOT / "docs" / "python.md", {"__name__": "tour"}, ""
    fences = re.findall(r"^```(\w*)\n(.*?)^```$", text_of(path), flags=re.M | re.S)
    for language, content in fences:
        if language != "python":
            assert printed == content
            printed = ""
            continue
        assert printed == "", "a block prints what the page does not show"
        shown = io.StringIO()
        with contextlib.redirect_stdout(shown):
            exec(compile(content, "python.md", "exec"), names)
        printed = shown.getvalue()
    assert printed == ""


def test_the_folder_tree_of_the_readme_is_the_folders():
    (tree,) = (block for block in blocks(README) if block.startswith("core/"))
    said = [line.split("/")[0] for line in tree.splitlines()]
    there = {
        folder.name
        for folder in ROOT.iterdir()
        if folder.is_dir()
        and not folder.name.startswith((".", "__"))
        and not folder.name.endswith(".egg-info")
        and folder.name not in HIDDEN
        and not (folder / "pyvenv.cfg").exists()
    }
    assert sorted(said) == sorted(there)


@pytest.mark.parametrize("path", DOCS, ids=name_of)
def test_links_lead_to_files(path):
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text_of(path))
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (path.parent / target).exists()] == []


@pytest.mark.parametrize("path", DOCS, ids=name_of)
def test_named_modules_and_scripts_exist(path):
    """`folds/split.py` in a document is a file, counted from the root or from the document."""
    named = set(re.findall(r"`([\w./-]*/[\w-]+\.(?:py|md|toml))`", text_of(path)))
    if path.parent.name == "benchmarks":
        named |= {
            f"benchmarks/{name}" for name in re.findall(r"^\| `(\w+\.py)`", text_of(path), re.M)
        }
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_benchmark_is_described():
    said = text_of(ROOT / "benchmarks" / "README.md")
    scripts = sorted(path.name for path in (ROOT / "benchmarks").glob("*.py"))
    assert [script for script in scripts if f"`{script}`" not in said] == []


def dialect_rows():
    """Return the cells of the glossary's table of dialects, by dialect."""
    rows = re.findall(r"^\| `([\w-]+)` \|(.*)\|$", text_of(GLOSSARY), flags=re.M)
    return {name: [cell.strip().strip("`") for cell in rest.split("|")] for name, rest in rows}


def test_the_glossary_describes_every_dialect_as_it_is():
    from goldfold.competitions.rle import DIALECTS, decode, encode

    mask = np.array([[0, 1, 1], [1, 0, 1]], np.uint8)
    written = {name: encode(mask, dialect) for name, dialect in DIALECTS.items()}
    expected = {
        name: [one.order, str(one.base), one.runs, written[name], one.empty or "nothing"]
        for name, one in DIALECTS.items()
    }
    told = dialect_rows()
    assert decode(told["coco-base64"][3], *mask.shape, "coco-base64").tolist() == mask.tolist()
    expected["coco-base64"][3] = told["coco-base64"][3]  # its bytes depend on the zlib
    assert told == expected
    picture = "\n".join(" ".join(map(str, row)) for row in mask.tolist())
    assert picture in [block.strip() for block in blocks(GLOSSARY)]


def test_the_glossary_names_metrics_views_and_recipes():
    from goldfold.competitions.metric import METRICS
    from goldfold.competitions.preset import preset_names
    from goldfold.inference.views import NAMED_VIEWS
    from goldfold.training.augmentation import RECIPES

    said = text_of(GLOSSARY)
    names = [*METRICS, *preset_names(), *RECIPES, *(view for view in NAMED_VIEWS if view != "none")]
    assert [name for name in names if f"`{name}`" not in said] == []


def test_the_changelog_and_the_citation_name_the_version():
    from goldfold import __version__

    assert __version__ == VERSION
    assert f"## {VERSION}\n" in text_of(ROOT / "CHANGELOG.md")
    assert f"\nversion: {VERSION}\n" in text_of(ROOT / "CITATION.cff")


def test_the_constraints_name_versions_only():
    lines = text_of(ROOT / "constraints.txt").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert [line for line in pins if not re.fullmatch(r"[a-z0-9-]+==[\w.]+", line)] == []
    names = [pin.split("==")[0] for pin in pins]
    assert names == sorted(set(names))
    assert "://" not in "\n".join(lines)


def test_every_requirement_is_constrained():
    project = tomllib.loads(text_of(ROOT / "pyproject.toml"))["project"]
    extras = project["optional-dependencies"].values()
    wanted = [*project["dependencies"], *(one for extra in extras for one in extra)]
    names = {re.split(r"[\[<>=!~; ]", requirement)[0].lower() for requirement in wanted}
    pinned = {line.split("==")[0] for line in text_of(ROOT / "constraints.txt").splitlines()}
    assert sorted(names - pinned) == []


def test_the_ci_runs_what_the_contributors_run():
    script = ROOT / ".ci" / "run"
    if not script.exists():
        pytest.skip("not a checkout")
    assert script.stat().st_mode & 0o111
    lines = text_of(script).splitlines()
    assert [line for line in lines if line.startswith("make")] == ["make test", "make lint"]

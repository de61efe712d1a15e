"""The code base itself: packages, import order, cheap start, help, presets, size of the modules."""

import ast
import importlib
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from functools import cache
from pathlib import Path

import pytest
import typer.main

ROOT = Path(__file__).parents[1]
PACKAGES = [  # data runs downward through this list and never back
    "core",
    "competitions",
    "folds",
    "training",
    "inference",
    "ensemble",
    "submissions",
    "tasks",
    "pipeline",
    "commands",
]
NOT_PACKAGED = {"tests", "benchmarks", "docs", "build", "dist"}
HEAVY = {
    "PIL", "cv2", "matplotlib", "numpy", "pandas", "pydicom", "safetensors", "scipy",
    "segmentation_models_pytorch", "sklearn", "timm", "torch", "torchvision", "ttach", "zstandard",
}  # fmt: skip
BANNED = {
    "_pickle", "albumentations", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "pickle",
    "shelve",
}  # fmt: skip


def packaged_folders():
    """Return every folder with Python files that should be a package, relative to the root."""
    tops = [
        folder
        for folder in ROOT.iterdir()
        if folder.is_dir()
        and not folder.name.startswith(".")
        and folder.name not in NOT_PACKAGED
        and not (folder / "pyvenv.cfg").exists()
    ]
    files = [file for top in tops for file in top.rglob("*.py")]
    return sorted({file.parent.relative_to(ROOT) for file in files})


def package_name(folder):
    parts = folder.parts[1:] if folder.parts[0] == "core" else folder.parts
    return ".".join(["goldfold", *parts])


MODULES = sorted(file for top_folder in PACKAGES for file in (ROOT / top_folder).rglob("*.py"))


def name_of(file):
    return file.relative_to(ROOT).as_posix()


@cache
def tree_of(file):
    return ast.parse(file.read_text(encoding="utf-8"), filename=name_of(file))


def statements(file):
    """Yield (place, node) of everything in a module."""
    for node in ast.walk(tree_of(file)):
        yield f"{name_of(file)}:{getattr(node, 'lineno', 0)}", node


def imported(node):
    """Return the full names that an import statement brings in: modules, and what is in them."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module:
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


def package_of_import(name):
    """Return the package that a dotted name of goldfold belongs to, None for other libraries."""
    parts = name.split(".")
    if parts[0] != "goldfold":
        return None
    return parts[1] if len(parts) > 1 and parts[1] in PACKAGES else "core"


def at_import_time(node):
    """Yield the statements that run when a module is imported, not those for type checkers."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        yield child
        yield from at_import_time(child)


def python(code, *, cwd=None):
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=cwd
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# --- packages ------------------------------------------------------------------------------------


def test_packages_are_the_folders_with_python_files():
    setup = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert sorted(setup["packages"]) == sorted(package_name(f) for f in packaged_folders())


def test_every_top_package_is_its_folder():
    setup = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert setup["package-dir"] == {
        package_name(folder): folder.name for folder in map(Path, PACKAGES)
    }
    assert {folder.parts[0] for folder in packaged_folders()} == set(PACKAGES)


def test_every_package_has_an_init_and_tests_have_none():
    assert [f for f in packaged_folders() if not (ROOT / f / "__init__.py").is_file()] == []
    # Packages of helpers are imported by name; tests are not.
    helpers = ROOT / "tests" / "helpers"
    inits = (ROOT / "tests").rglob("__init__.py")
    assert [path for path in inits if helpers not in path.parents] == []


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Return the files of a wheel that is built from a copy, without the network."""
    source = tmp_path_factory.mktemp("source")
    ignore = shutil.ignore_patterns("__pycache__", "*.pyc")
    for top_folder in PACKAGES:
        shutil.copytree(ROOT / top_folder, source / top_folder, ignore=ignore)
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, source)
    python("from setuptools.build_meta import build_wheel; build_wheel('dist')", cwd=source)
    (file,) = (source / "dist").glob("*.whl")
    return zipfile.ZipFile(file).namelist()


def test_the_wheel_holds_every_file_of_the_folders_and_nothing_else(wheel):
    expected = set()
    for top_folder in PACKAGES:
        target = Path("goldfold") if top_folder == "core" else Path("goldfold", top_folder)
        for file in (ROOT / top_folder).rglob("*"):
            if file.is_file() and "__pycache__" not in file.parts and file.name[0] != ".":
                expected.add((target / file.relative_to(ROOT / top_folder)).as_posix())
    assert {name for name in wheel if ".dist-info/" not in name} == expected


def test_only_goldfold_reaches_the_top_level(wheel):
    tops = {name.split("/")[0] for name in wheel}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"goldfold"}


# --- imports -------------------------------------------------------------------------------------


def test_a_package_imports_only_from_packages_above_it():
    wrong = []
    for file in MODULES:
        top_folder = file.relative_to(ROOT).parts[0]
        if name_of(file) == "core/__main__.py":
            continue  # `python -m goldfold` starts the command line
        wrong += [
            f"{where}: {name}"
            for where, node in statements(file)
            for name in imported(node)
            if (other := package_of_import(name))
            and PACKAGES.index(other) > PACKAGES.index(top_folder)
        ]
    assert wrong == []


def test_imports_are_absolute_and_begin_with_goldfold():
    wrong = []
    for where, node in (found for file in MODULES for found in statements(file)):
        if isinstance(node, ast.ImportFrom) and node.level:
            wrong.append(f"{where}: a relative import")
        wrong += [f"{where}: {name}" for name in imported(node) if name.split(".")[0] in PACKAGES]
    assert wrong == []


def code_that_data_could_run(node):
    """Return what in a call lets the data that it reads run code, "" where nothing does."""
    name, given = ast.unparse(node.func), {w.arg: ast.unparse(w.value) for w in node.keywords}
    last = name.split(".")[-1]
    if name in ("torch.load", "torch.hub.load_state_dict_from_url"):
        return "" if given.get("weights_only") == "True" else "without weights_only=True"
    if given.get("weights_only", "True") != "True":
        return "weights_only=False"
    if given.get("allow_pickle", "False") != "False":
        return "allow_pickle"
    if "trust_remote_code" in given or last in ("read_pickle", "to_pickle", "load_url"):
        return "unpickles, or runs fetched code"
    if name.startswith("yaml.") and last in ("load", "load_all", "unsafe_load", "full_load"):
        return "yaml.safe_load is the safe one"
    return "runs text" if name in ("eval", "exec", "compile", "__import__", "os.system") else ""


@pytest.mark.parametrize(
    "text",
    [
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "pd.read_pickle(path)",
        "model_zoo.load_url(url)",
        "from_pretrained(name, trust_remote_code=True)",
        "yaml.load(text)",
        "eval(text)",
        "exec(text)",
    ],
)
def test_the_reader_of_the_sources_sees(text):
    assert code_that_data_could_run(ast.parse(text, mode="eval").body)


def test_nothing_that_is_read_can_run_code():
    """Weights are safetensors, facts JSON: no pickle, no evaluated text, no fetched code."""
    wrong = []
    sources = [*MODULES, *sorted((ROOT / "benchmarks").rglob("*.py"))]
    for where, node in (found for file in sources for found in statements(file)):
        banned = BANNED - {"albumentations"} if where.startswith("benchmarks/") else BANNED
        wrong += [f"{where}: {name}" for name in imported(node) if name.split(".")[0] in banned]
        if isinstance(node, ast.Call) and (reason := code_that_data_could_run(node)):
            wrong.append(f"{where}: {ast.unparse(node.func)}: {reason}")
    assert wrong == []


# Older timm unpickles checkpoints; torch.load before 2.6 can be made to despite weights_only=True.
@pytest.mark.parametrize(("library", "least"), [("timm", (1, 0, 27)), ("torch", (2, 6))])
def test_libraries_that_unpickle_are_not_accepted(library, least):
    needs = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    (need,) = [one for one in needs if re.match(rf"{library}\b(?!-)", one)]
    floor = re.fullmatch(rf"{library}>=([0-9.]+)", need)
    assert floor, f"{need} has no plain floor"
    assert tuple(map(int, floor[1].split("."))) >= least


def test_commands_import_no_heavy_library_at_module_level():
    wrong = [
        f"{name_of(file)}:{node.lineno}: {name}"
        for file in sorted((ROOT / "commands").rglob("*.py"))
        for node in at_import_time(tree_of(file))
        for name in imported(node)
        if name.split(".")[0] in HEAVY
    ]
    assert wrong == []


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["folds", "build", "--help"]])
def test_help_imports_nothing_heavy(words):
    code = (
        f"import sys; sys.argv = ['goldfold', *{words!r}]\n"
        "from goldfold.commands.app import app\n"
        "try:\n    app()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "print('LOADED', *sorted(sys.modules))\n"
    )
    shown, _, loaded = python(code).rpartition("LOADED")
    assert "goldfold" in shown
    assert HEAVY & set(loaded.split()) == set()


def test_importing_the_packages_imports_nothing_heavy():
    packages = ", ".join(package_name(Path(top_folder)) for top_folder in PACKAGES)
    loaded = python(f"import sys\nimport {packages}\nprint(*sys.modules)").split()
    assert HEAVY & set(loaded) == set()


@pytest.mark.parametrize(
    "top_folder", [top_folder for top_folder in PACKAGES if top_folder not in {"core", "commands"}]
)
def test_the_public_names_of_a_package_are_there(top_folder):
    package = importlib.import_module(f"goldfold.{top_folder}")
    assert package.__all__
    assert [name for name in package.__all__ if not hasattr(package, name)] == []
    with pytest.raises(AttributeError, match="no attribute 'nothing_like_this'"):
        _ = package.nothing_like_this


def module_name(file):
    parts = list(file.relative_to(ROOT).with_suffix("").parts)
    parts = parts[1:] if parts[0] == "core" else parts
    return ".".join(["goldfold", *parts]).removesuffix(".__init__")


def needs_of(file, modules):
    """Return the modules that a file imports, inside functions too, not those for type checkers."""
    tree = tree_of(file)
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    needed = set()
    for node in ast.walk(tree):
        if id(node) not in skipped:
            names = imported(node)
            needed |= {*names, *(name.rpartition(".")[0] for name in names)} & modules
    return needed - {module_name(file)}


SLOW = HEAVY - {"numpy", "pandas"}
"""What takes long to import; every stage of a run needs NumPy and pandas."""


def loaded_by(needs, module):
    """Return all names that a module imports at once, and what those import at once."""
    seen, waiting = set(), [module]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += needs.get(name, ())
    return seen


def needed_at_once(file, modules):
    """Return the names that importing a module of goldfold imports, other libraries' too."""
    names = [name for node in at_import_time(tree_of(file)) for name in imported(node)]
    return {
        name if name in modules or name.rpartition(".")[0] not in modules else
        name.rpartition(".")[0] for name in names
    }  # fmt: skip


def test_imports_inside_functions_save_time_or_avoid_a_circle():
    """Outside the command line, whose help has to be quick, all others stand at the top."""
    modules = {module_name(file): file for file in MODULES}
    needs = {name: needed_at_once(file, modules) for name, file in modules.items()}
    wrong = []
    for name, file in modules.items():
        if file.relative_to(ROOT).parts[0] == "commands" or file.name.startswith("__"):
            continue
        for function in ast.walk(tree_of(file)):
            if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
                continue
            for node in ast.walk(function):
                if not (isinstance(node, ast.ImportFrom) and package_of_import(str(node.module))):
                    continue
                loaded = {
                    other for target in imported(node)
                    for other in loaded_by(needs, target if target in modules else node.module)
                }  # fmt: skip
                slow = {other.split(".")[0] for other in loaded} & SLOW
                if not slow and name not in loaded:
                    wrong.append(f"{name_of(file)}:{node.lineno} {node.module}")
    assert wrong == []


def circles(needs):
    """Return the sets of modules that need each other, found by peeling off what needs nothing."""
    left = {name: set(needed) for name, needed in needs.items()}
    for _ in range(2):  # nothing that is needed by none, nothing that needs none
        while free := [name for name, needed in left.items() if not needed & left.keys()]:
            for name in free:
                del left[name]
        turned = {name: set() for name in left}
        for name, needed in left.items():
            for other in needed & left.keys():
                turned[other].add(name)
        left = turned
    return left


def test_circles_are_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": set()}) == {}
    assert set(circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}})) == {"b", "c"}


@pytest.mark.parametrize("top_folder", PACKAGES)
def test_no_modules_of_a_package_import_each_other(top_folder):
    files = [file for file in MODULES if file.relative_to(ROOT).parts[0] == top_folder]
    files = [file for file in files if file.name != "__init__.py"]
    modules = {module_name(file) for file in files}
    assert circles({module_name(file): needs_of(file, modules) for file in files}) == {}


FORKS = re.compile(
    r"is_classification|isinstance\(\w+, LabelledImages\)|\.task == \"|\[\"task\"\] =="
    r"|get\(\"task\"\)|isinstance\([\w.]+, (?:Masks|Classes|Numbers|Semantic)\)"
    r"|of_numbers|of_whole_images|is_semantic"
)


ASKERS = {
    "commands/init_questions.py": "drafts settings",
    "competitions/competition_draft.py": "drafts settings",
    "competitions/recognise.py": "drafts settings",
    "competitions/recognise_sample.py": "drafts settings",
    "competitions/recognise_tables.py": "drafts settings",
    "pipeline/drafted_settings.py": "drafts settings",
    "pipeline/model_file.py": "is the schema of model.json",
}


def test_only_the_tasks_and_the_settings_ask_which_task_it_is():
    asking = {
        f"{name_of(file)}:{number}"
        for file in MODULES
        if file.relative_to(ROOT).parts[0] != "tasks"
        and not file.name.startswith("settings")
        and name_of(file) not in ASKERS
        for number, line in enumerate(file.read_text("utf-8").splitlines(), 1)
        if FORKS.search(line)
    }
    assert asking == set()


def test_every_command_file_parses_or_prints():
    """What a stage needs lives in pipeline/ or tasks/; commands/ holds the terminal alone."""
    talks = re.compile(r"\btyper\b|\bshow\.|\bprint\(|\brich\b|terminal_progress|sys\.stderr")
    silent = [
        name_of(file)
        for file in sorted((ROOT / "commands").rglob("*.py"))
        if file.name != "__init__.py" and not talks.search(file.read_text("utf-8"))
    ]
    assert silent == []
    assert not [
        where
        for file in MODULES
        if file.relative_to(ROOT).parts[0] != "commands"
        for where, node in statements(file)
        if any(name.split(".")[0] in ("typer", "rich") for name in imported(node))
    ]


# --- commands and presets ------------------------------------------------------------------------


def command_tree():
    """Return (words, command) of every command and group, e.g. ('folds', 'build')."""
    from goldfold.commands.app import app

    found = []

    def walk(words, command):
        found.append((words, command))
        for name, child in getattr(command, "commands", {}).items():
            walk((*words, name), child)

    walk((), typer.main.get_command(app))
    return found


def examples(command):
    lines = [line.strip() for line in f"{command.help or ''}\n{command.epilog or ''}".splitlines()]
    return [line for line in lines if line.startswith("goldfold ")]


def test_every_command_has_help_with_an_example_of_itself():
    tree = command_tree()
    assert len(tree) > 10
    wrong = []
    for words, command in tree:
        if hasattr(command, "commands"):
            start = " ".join(["goldfold", *words, ""])
        else:
            start = " ".join(["goldfold", *words])
        if not any(f"{line} ".startswith(start) for line in examples(command)):
            wrong.append(start)
    assert wrong == []


def test_the_options_in_the_examples_exist():
    wrong = []
    options = {
        words: {
            name for option in command.params for name in [*option.opts, *option.secondary_opts]
        }
        for words, command in command_tree()
        if not hasattr(command, "commands")
    }
    for _, command in command_tree():
        for line in examples(command):
            said = line.split()[1:]
            words = next((w for w in options if tuple(said[: len(w)]) == w), None)
            if words is None:
                wrong.append(f"no such command: {line}")
                continue
            asked = {word.split("=")[0] for word in said if word.startswith("-")}
            wrong += [f"no option {option}: {line}" for option in asked - options[words]]
    assert wrong == []


def test_every_option_has_help():
    wrong = [
        f"{' '.join(words)} {option.name}"
        for words, command in command_tree()
        for option in command.params
        if not getattr(option, "help", None) and option.name != "help"
    ]
    assert wrong == []


def test_every_shipped_preset_loads_with_every_recipe():
    from goldfold.competitions.preset import load_preset, preset_names, read_recipe, recipe_names
    from goldfold.settings import CompetitionSettings, Settings

    assert {"siim-acr-pneumothorax", "tgs-salt"} <= set(preset_names())
    for name in preset_names():
        competition = load_preset(name)
        assert CompetitionSettings.model_validate(competition).title
        assert "default" in recipe_names(name)
        for recipe in recipe_names(name):
            content = tomllib.loads(read_recipe(name, recipe))
            settings = Settings.model_validate({"competition": competition, **content})
            assert settings.models[0].stages


# --- size and names ------------------------------------------------------------------------------


def test_no_module_is_longer_than_400_lines():
    lengths = {name_of(file): len(file.read_text("utf-8").splitlines()) for file in MODULES}
    assert {name: length for name, length in lengths.items() if length > 400} == {}


def test_no_module_is_named_after_nothing():
    vague = {"utils", "util", "helpers", "helper", "common", "misc", "tools"}
    assert [name_of(file) for file in MODULES if file.stem in vague] == []

"""The generated pages of the documentation: every setting, every public name, links that lead."""

import importlib
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from goldfold.settings import Settings

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def site():
    """Return a function that imports a module of docs/site."""

    def load(name):
        file = ROOT / "docs" / "site" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(f"goldfold_site_{name}", file)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


def sections(page):
    """Return heading -> text of each section."""
    parts = re.split(r"^## (.*)$", page, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def tables_of_the_schema():
    """Return every table of goldfold.toml and its properties, read from the JSON schema."""
    schema = Settings.model_json_schema()
    found = {}

    def walk(path, node, listed=False):
        heading = f"`[[{path}]]`" if listed else f"`[{path}]`"
        found[heading if path else "Top level"] = node["properties"]
        for name, value in node["properties"].items():
            inner = re.findall(r"#/\$defs/(\w+)", json.dumps(value.get("items", {})))
            plain = {key: part for key, part in value.items() if key != "items"}
            for model in inner or re.findall(r"#/\$defs/(\w+)", json.dumps(plain)):
                walk(f"{path}.{name}".lstrip("."), schema["$defs"][model], bool(inner))

    walk("", schema)
    return found


def test_the_page_names_every_setting_of_every_table_with_its_meaning(site):
    page = sections(site("settings_page").settings_page())
    expected = tables_of_the_schema()
    assert list(page) == list(expected)
    assert len(expected) > 15
    missing = [
        f"{heading} {name}"
        for heading, properties in expected.items()
        for name, value in properties.items()
        if f"`{name}`" not in page[heading]
        or " ".join(value["description"].split()).replace("|", "\\|") not in page[heading]
    ]
    assert missing == []


@pytest.mark.parametrize(
    ("heading", "row"),
    [
        ("`[folds]`", "| `count` | whole number (≥ 2, ≤ 20) | `5` |"),
        ("`[folds]`", "| `train` | list of whole number | unset |"),
        ("`[ensemble.thresholds]`", "| `top` | number (> 0, ≤ 1) | required |"),
        ("`[inference]`", '| `merge` | `"mean"`, `"geometric"`, `"logit"` | `"mean"` |'),
        ("`[training]`", '| `compile` | `"auto"` or true or false | `"auto"` |'),
        ("`[competition.labels]`", "| `files` | list of text | `[]` |"),
    ],
)
def test_type_and_default_by_hand(site, heading, row):
    page = sections(site("settings_page").settings_page())
    assert row in page[heading].replace("\N{NO-BREAK SPACE}", " ")


def test_every_public_name_has_its_place_on_one_page(site):
    module = site("api_pages")
    pages = module.api_pages()
    assert set(pages) == {f"api/{name.rpartition('.')[2]}.md" for name in module.PACKAGES}
    shown = [name for page in pages.values() for name in re.findall(r"^::: (.*)$", page, re.M)]
    assert len(shown) == len(set(shown))
    missing = []
    for package in map(importlib.import_module, module.PACKAGES):
        for name in package.__all__:
            home = "" if name.startswith("__") else module.home(package, name)
            section = f"\n## {name}\n" in pages["api/goldfold.md"]
            if home and home not in shown and not section:
                missing.append(home)
    assert missing == []
    for name in shown:
        where, _, last = name.rpartition(".")
        assert hasattr(importlib.import_module(where), last)


def test_every_package_but_the_commands_has_a_page(site):
    folders = {folder.name for folder in ROOT.iterdir() if (folder / "__init__.py").is_file()}
    assert set(site("api_pages").PACKAGES.values()) == folders - {"commands"}


@pytest.mark.parametrize(
    ("link", "turned"),
    [
        ("[a](docs/glossary.md)", "[a](glossary.md)"),
        ("[a](docs/competitions/tgs-salt.md#x)", "[a](competitions/tgs-salt.md#x)"),
        ("[a](docs/notebooks/lightning.ipynb)", "[a](notebooks/lightning.md)"),
        ("[a](CONTRIBUTING.md)", "[a](contributing.md)"),
        ("([LICENSE](LICENSE))", "(LICENSE)"),
        ("![The stages](docs/pipeline.png)", "![The stages](pipeline.png)"),
        ("[a](https://example.org/x.md)", "[a](https://example.org/x.md)"),
        ("[a](#here)", "[a](#here)"),
    ],
)
def test_links_of_the_readme_by_hand(site, link, turned):
    assert site("repository_pages").turn_links(link, "README.md", "index.md") == turned


def test_a_page_in_a_folder_links_upward(site):
    turn = site("repository_pages").turn_links
    page = "competitions/tgs-salt.md"
    assert turn("[a](../../README.md)", f"docs/{page}", page) == "[a](../index.md)"
    assert turn("[a](../results.md#t)", f"docs/{page}", page) == "[a](../results.md#t)"


def test_doctests_get_a_fence():
    pytest.importorskip("griffe", reason="pip install 'goldfold[docs]'")
    spec = importlib.util.spec_from_file_location("b", ROOT / "docs" / "site" / "doctest_blocks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    text = "One.\n\n>>> f(1)\n2\n\nTwo.\n\n    >>> g()\n    ()"
    assert module.fence_doctests(text) == (
        "One.\n\n```pycon\n>>> f(1)\n2\n```\n\nTwo.\n\n    ```pycon\n    >>> g()\n    ()\n    ```"
    )


def test_the_site_builds_without_a_warning_and_fetches_nothing(tmp_path):
    pytest.importorskip("mkdocstrings", reason="pip install 'goldfold[docs]'")
    words = ["-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    pages = sorted((tmp_path / "site").rglob("*.html"))
    assert len(pages) > 20
    fetched = [
        tag
        for page in pages
        for tag in re.findall(r"<(?:script|img|link|iframe)[^>]*>", page.read_text("utf-8"))
        if re.search(r"(?:src|href)=\"(?:https?:)?//", tag)
    ]
    assert fetched == []

"""What mkdocs does beside copying docs/: generated pages, notebooks that run, turned links."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from mkdocs.plugins import event_priority
from mkdocs.structure.files import File

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(Path(__file__).parent))

from api_pages import api_pages, link_sources  # noqa: E402
from notebook_pages import notebook_page  # noqa: E402
from repository_pages import PAGES, repository_page, turn_links  # noqa: E402
from settings_page import settings_page  # noqa: E402

# Before PyTorch is imported: the tiny networks of the notebooks are fastest on one thread.
os.environ.setdefault("OMP_NUM_THREADS", "1")

_SOURCES = Path(tempfile.mkdtemp(prefix="goldfold-docs-"))


@event_priority(100)  # before mkdocstrings reads its options
def on_config(config: Any) -> Any:
    """Let mkdocstrings read the sources in the layout of an installation."""
    link_sources(ROOT, _SOURCES)
    config.plugins["mkdocstrings"].config.handlers["python"]["paths"] = [str(_SOURCES)]
    return config


def on_files(files: Any, *, config: Any) -> Any:
    """Add the pages of the repository's files, settings, Python names and notebooks."""
    pages = {page: repository_page(ROOT, file) for file, page in PAGES.items()}
    pages |= {"settings.md": settings_page()} | api_pages()
    pictures: dict[str, bytes] = {}
    for notebook in sorted((ROOT / "docs" / "notebooks").glob("*.ipynb")):
        file = notebook.relative_to(ROOT / "docs").with_suffix(".md").as_posix()
        pages[file], its_pictures = notebook_page(ROOT, notebook.relative_to(ROOT).as_posix())
        pictures |= its_pictures
    for path, content in (pages | pictures).items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Turn the links of pages in docs/ that lead out of it."""
    if page.file.generated_by:
        return markdown
    return turn_links(markdown, f"docs/{page.file.src_uri}", page.file.src_uri)


def on_shutdown() -> None:
    """Remove the links to the sources."""
    shutil.rmtree(_SOURCES, ignore_errors=True)

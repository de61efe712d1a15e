"""README.md and other files of the repository as pages of the site, with working links."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "benchmarks/README.md": "benchmarks.md",
}
"""File of the repository -> page; what lies in docs/ is a page under its own name."""

_LINK = re.compile(r"\[([^\]]*)\]\(([^)#\s]+)(#[^)\s]*)?\)")


def repository_page(root: Path, file: str) -> str:
    """Return a file of the repository as a page of the site."""
    return turn_links((root / file).read_text(encoding="utf-8"), file, PAGES[file])


def turn_links(text: str, file: str, page: str) -> str:
    """Return Markdown with links between files of the repository turned to links between pages.

    A link to a file that is not on the site, such as the licence, becomes its text.

    Args:
        text: Markdown.
        file: of the repository, from its root.
        page: its place in the site.

    >>> turn_links("see [this](docs/glossary.md#fold), [that](LICENSE)", "README.md", "index.md")
    'see [this](glossary.md#fold), that'
    """

    def turned(link: re.Match[str]) -> str:
        words, target, anchor = link[1], link[2], link[3] or ""
        if "://" in target or target.startswith("mailto:"):
            return link[0]
        place = posixpath.normpath(posixpath.join(posixpath.dirname(file), target))
        if (to := page_of(place)) is None:
            return words
        return f"[{words}]({posixpath.relpath(to, posixpath.dirname(page) or '.')}{anchor})"

    return _LINK.sub(turned, text)


def page_of(file: str) -> str | None:
    """Return the page or picture of the site that a file of the repository becomes, None if none.

    >>> page_of("docs/competitions/tgs-salt.md"), page_of("docs/pipeline.png")
    ('competitions/tgs-salt.md', 'pipeline.png')
    >>> page_of("CITATION.cff")
    """
    if file in PAGES:
        return PAGES[file]
    if re.fullmatch(r"docs/.*\.png", file):
        return file.removeprefix("docs/")
    match = re.fullmatch(r"docs/(.*)\.(?:md|ipynb)", file)
    return f"{match[1]}.md" if match else None

"""Doctests of docstrings as code: without a fence, Markdown reads `>>>` as a quotation."""

from __future__ import annotations

from typing import Any

import griffe


class DoctestBlocks(griffe.Extension):
    """Put fences around the doctests of everything that mkdocstrings shows."""

    def on_object(self, *, obj: Any, **_: Any) -> None:
        """Change the docstring of one module, class, function or attribute."""
        if obj.docstring is not None:
            obj.docstring.value = fence_doctests(obj.docstring.value)


def fence_doctests(text: str) -> str:
    r"""Return a docstring with a fence around each doctest and its output.

    >>> print(fence_doctests("One.\n\n>>> 1\n1"))
    One.
    <BLANKLINE>
    ```pycon
    >>> 1
    1
    ```
    """
    lines: list[str] = []
    closing = ""
    for line in [*text.splitlines(), ""]:
        indent = line[: len(line) - len(line.lstrip())]
        if not closing and line.lstrip().startswith(">>>"):
            lines.append(f"{indent}```pycon")
            closing = f"{indent}```"
        elif closing and not line.strip():
            lines.append(closing)
            closing = ""
        lines.append(line)
    return "\n".join(lines[:-1])

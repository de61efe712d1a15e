"""Notebooks: their cells run in order, and the pages that show them with what they put out.

The cells run in this process, as plain Python: no Jupyter is needed to build the site or to test
the notebooks. In return a notebook has no magics and no `display`.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import html
import io
import json
import re
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from repository_pages import turn_links


@dataclass(frozen=True)
class Output:
    """What a cell shows: printed text, HTML of a table, or a picture."""

    kind: str
    """text, html or png."""
    content: str | bytes


@dataclass
class Cell:
    """A cell of a notebook; `outputs` are filled by `run_cells`."""

    is_code: bool
    source: str
    outputs: list[Output] = field(default_factory=list)


def read_cells(path: Path) -> list[Cell]:
    """Return the cells of a notebook, without outputs."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [Cell(cell["cell_type"] == "code", "".join(cell["source"])) for cell in cells]


def run_cells(cells: list[Cell], name: str) -> dict[str, Any]:
    """Run the code cells in order in the working directory; return the names they define.

    Args:
        cells: their outputs are filled.
        name: of the notebook, for error messages.
    """
    import matplotlib

    matplotlib.use("Agg", force=True)
    names: dict[str, Any] = {"__name__": "__main__"}
    with warnings.catch_warnings():
        for number, cell in enumerate(cells, 1):
            if cell.is_code:
                place = f"{name}, cell {number}"
                try:
                    cell.outputs = list(_run(cell.source, place, names))
                except Exception as error:
                    error.add_note(f"in {place}:\n{cell.source}")
                    raise
    return names


def _run(source: str, place: str, names: dict[str, Any]) -> Iterator[Output]:
    """Run one cell; yield what it printed, its figures, and its last expression."""
    import matplotlib.pyplot as plt

    body = ast.parse(source, place).body
    last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        exec(compile(ast.Module(body, []), place, "exec"), names)
        value = None
        if last is not None:
            value = eval(compile(ast.Expression(last.value), place, "eval"), names)
    if printed.getvalue():
        yield Output("text", printed.getvalue())
    if value is not None and not source.rstrip().endswith(";"):
        yield _shown(value)
    for number in plt.get_fignums():
        picture = io.BytesIO()
        plt.figure(number).savefig(picture, format="png", bbox_inches="tight", dpi=120)
        yield Output("png", picture.getvalue())
    plt.close("all")


def _shown(value: Any) -> Output:
    """Return how a notebook shows a value."""
    if hasattr(value, "_repr_html_") and (text := value._repr_html_()) is not None:
        return Output("html", text)
    if hasattr(value, "_repr_png_"):
        return Output("png", value._repr_png_())
    return Output("text", repr(value))


@functools.cache
def notebook_page(root: Path, file: str) -> tuple[str, dict[str, bytes]]:
    """Run a notebook of the repository; return its page as Markdown, and path -> picture.

    Args:
        root: of the repository.
        file: the notebook, from the root, such as docs/notebooks/competition.ipynb.
    """
    cells = read_cells(root / file)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        run_cells(cells, file)
    stem = file.removeprefix("docs/").removesuffix(".ipynb")
    blocks, pictures = [], dict[str, bytes]()
    for cell in cells:
        if not cell.is_code:
            blocks.append(turn_links(cell.source, file, f"{stem}.md"))
            continue
        blocks.append(f"```python\n{cell.source}\n```")
        for output in cell.outputs:
            blocks.append(_output_block(output, stem, pictures))
    download = f"[Download this notebook]({Path(file).name}){{ download }}"
    return "\n\n".join([*blocks[:1], download, *blocks[1:], ""]), pictures


def _output_block(output: Output, stem: str, pictures: dict[str, bytes]) -> str:
    """Return an output as Markdown; a picture is added to `pictures`."""
    if isinstance(output.content, bytes):
        path = f"{stem}-{len(pictures) + 1}.png"
        pictures[path] = output.content
        return f"![]({Path(path).name}){{ .output }}"
    if output.kind == "html":
        table = re.sub(r"<style.*?</style>\n*", "", output.content, flags=re.S)
        return f'<div class="output">{table}</div>'
    return f'<div class="output"><pre>{html.escape(output.content.rstrip())}</pre></div>'

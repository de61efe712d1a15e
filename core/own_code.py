"""`module:object`: Python code of the user's own that a setting names.

`my_losses:lovasz` is the object `lovasz` of the file my_losses.py beside goldfold.toml. Reading the
settings looks the file up and binds the reference to its content, `my_losses:lovasz@1f0c22d9a4b7`,
without running it; the digest goes wherever the setting goes, so whatever was made with other
content is out of date. The file runs when the object is first needed, from the bytes that were
hashed. Nothing else is ever looked up: not the working directory, not installed packages.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.abc import InspectLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from traceback import extract_tb
from types import CodeType
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationInfo

from goldfold.errors import GoldfoldError, InputError, did_you_mean

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
DIGITS = 12
"""Hexadecimal digits of the content's SHA-256 in a reference."""
PATTERN = rf"^{_NAME}:{_NAME}(@[0-9a-f]{{{DIGITS}}})?$"
IN_WORDS = "module:object of a file beside goldfold.toml, as in my_code:build"
MOST_BYTES = 1 << 22
"""Of a module's file."""

_sources: dict[tuple[str, str], Source] = {}


@dataclass(frozen=True)
class Source:
    """The content of a module's file, and where it was read."""

    path: Path
    content: bytes

    @property
    def sha256(self) -> str:
        """The SHA-256 of the content, 64 hexadecimal digits."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def digest(self) -> str:
        """The first digits of it, which references carry."""
        return self.sha256[:DIGITS]


@dataclass(frozen=True)
class Reference:
    """A parsed `module:object`, with the digest of the module's content once it is bound."""

    module: str
    name: str
    digest: str = ""

    @property
    def text(self) -> str:
        """The reference as settings have it, without the digest."""
        return f"{self.module}:{self.name}"

    @property
    def file(self) -> str:
        """Name of the module's file."""
        return f"{self.module}.py"


@dataclass(frozen=True)
class Role:
    """What a setting needs an object for.

    Attributes:
        setting: its name.
        signature: how the object is called, for messages.
        returns: what it has to return, for messages.
        positional: number of positional arguments it is called with.
        keywords: names of the keyword arguments it is called with.
    """

    setting: str
    signature: str
    returns: str
    positional: int = 0
    keywords: tuple[str, ...] = ()


def is_reference(text: str) -> bool:
    """Return whether a setting's value names an object of the user's own."""
    return re.fullmatch(PATTERN[1:-1], text) is not None


def parse(text: str) -> Reference:
    """Return the parts of a reference.

    Raises:
        InputError: it is none.

    >>> parse("my_losses:lovasz@1f0c22d9a4b7")
    Reference(module='my_losses', name='lovasz', digest='1f0c22d9a4b7')
    """
    if not is_reference(text):
        raise InputError(f"{text!r} is no reference: expected {IN_WORDS}.")
    plain, _, digest = text.partition("@")
    module, _, name = plain.partition(":")
    return Reference(module, name, digest)


def bind(text: str, folder: Path) -> str:
    """Return a reference with the digest of its module's content; no code runs.

    Args:
        text: the reference; where it carries a digest already, the content has to match.
        folder: where the module's file is.

    Raises:
        InputError: the file is missing, is no Python or does not define the object, or its content
            is not what the digest says.
    """
    reference = parse(text)
    source = read_source(folder / reference.file, reference)
    if reference.digest not in ("", source.digest):
        raise InputError(
            f"{source.path} has changed: {text} was meant, its digest is now {source.digest}. "
            f"Leave @{reference.digest} out to take it as it is."
        )
    register(source, reference.module)
    return f"{reference.text}@{source.digest}"


def read_source(path: Path, reference: Reference) -> Source:
    """Return the content of a module's file, which defines the object.

    Raises:
        InputError: as `bind` does.
    """
    if not path.is_file():
        others = [other.stem for other in path.parent.glob("*.py")]
        raise InputError(
            f"{reference.text} needs the file {path}, which does not exist; modules are looked for "
            f"beside goldfold.toml and nowhere else.{did_you_mean(reference.module, others)}"
        )
    if path.stat().st_size > MOST_BYTES:
        raise InputError(f"{path} is larger than {MOST_BYTES >> 20} MiB, too large for a module.")
    try:
        source = Source(path.resolve(), path.read_bytes())
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}.") from error
    _require_definition(source, reference)
    return source


def register(source: Source, module: str) -> None:
    """Make a module's content known to `resolve`; it does not run yet."""
    _sources.setdefault((module, source.digest), source)


def source_of(text: str) -> Source:
    """Return the content that a bound reference stands for.

    Raises:
        InputError: it is not bound, or its module was not registered in this process.
    """
    reference = parse(text)
    if not reference.digest:
        raise InputError(
            f"{text} is not bound to a file. Read the settings from goldfold.toml "
            f"(`load_settings`), or bind it: goldfold.own_code.bind({text!r}, folder)."
        )
    source = _sources.get((reference.module, reference.digest))
    if source is None:
        raise InputError(
            f"{reference.text} needs the content of {reference.file} whose SHA-256 begins with "
            f"{reference.digest}, which is not the file beside goldfold.toml. Put that file back."
        )
    return source


def resolve(text: str, role: Role) -> Callable[..., Any]:
    """Return the object of a bound reference; its module runs the first time.

    Args:
        text: the reference.
        role: how the object will be called.

    Raises:
        InputError: the module cannot be run, or the object does not take the role's arguments.
    """
    reference, source = parse(text), source_of(text)
    with running(text, role):
        module = _imported(reference.module, source)
    resolved = getattr(module, reference.name, None)
    if not callable(resolved):
        raise InputError(
            f"{role.setting}: {reference.text} of {source.path} is {resolved!r:.60}; expected a "
            f"function {role.signature} that returns {role.returns}."
        )
    _require_signature(resolved, reference, role)
    return resolved  # type: ignore[no-any-return]


def wrong_value(text: str, role: Role, value: object) -> InputError:
    """Return the error about an object that returned something else than its role says."""
    reference = parse(text)
    return InputError(
        f"{role.setting}: {reference.text} ({reference.file}) returned {value}; expected "
        f"{role.signature} to return {role.returns}."
    )


@contextmanager
def running(
    text: str, role: Role, passes: Callable[[BaseException], bool] = lambda _: False
) -> Iterator[None]:
    """Turn what the user's code raises into an InputError that names setting, file and line.

    Args:
        text: the reference.
        role: what it is called for.
        passes: which errors go through as they are.
    """
    try:
        yield
    except (GoldfoldError, KeyboardInterrupt):
        raise
    except Exception as error:
        if passes(error):
            raise
        raise InputError(_raised(text, role, error)) from error


def own_references(values: Iterable[str]) -> list[str]:
    """Return those of some settings' values that are references, each once, in order."""
    return [value for value in dict.fromkeys(values) if is_reference(value)]


def _bound(text: str, info: ValidationInfo) -> str:
    """Bind a reference where the settings come from a folder."""
    folder = (info.context or {}).get("folder")
    if folder is None or not is_reference(text):
        return text
    try:
        return bind(text, folder)
    except InputError as error:
        raise ValueError(str(error)) from None


OwnObject = Annotated[str, Field(pattern=PATTERN), AfterValidator(_bound)]
"""A setting that names an object; read with a folder as context it is bound."""
NameOrOwnObject = Annotated[str, AfterValidator(_bound)]
"""A setting with names of its own besides."""


class _Loader(InspectLoader):
    """Runs a module from the bytes that were hashed, and writes no bytecode beside the file."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def get_source(self, fullname: str) -> str:
        return self._source.content.decode("utf-8")

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self._source.content, str(self._source.path))

    def is_package(self, fullname: str) -> bool:
        return False


def _imported(name: str, source: Source) -> Any:
    """Return the module of some content, imported once in this process."""
    full = f"{name}_{source.sha256}"
    if full in sys.modules:
        return sys.modules[full]
    spec = spec_from_loader(full, _Loader(source), origin=str(source.path))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    module.__file__ = str(source.path)
    sys.modules[full] = module  # dataclasses look their module up there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[full]
        raise
    return module


def _require_definition(source: Source, reference: Reference) -> None:
    """Raise InputError unless the file is Python and its top level binds the object's name."""
    try:
        tree = ast.parse(source.content, filename=str(source.path))
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        where = f"{source.path}, line {line}" if line else str(source.path)
        reason = error.msg if isinstance(error, SyntaxError) else error
        raise InputError(f"{reference.text}: {where}: {reason}.") from error
    names = _top_level_names(tree.body)
    if reference.name not in names and "*" not in names:
        known = ", ".join(sorted(names)) or "nothing"
        hint = did_you_mean(reference.name, names)
        raise InputError(
            f"{source.path} does not define {reference.name!r}; it defines {known}.{hint}"
        )


def _top_level_names(body: Sequence[ast.stmt]) -> set[str]:
    """Return the names that statements bind, those in branches included."""
    names: set[str] = set()
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name.split(".")[0] for alias in node.names}
        else:
            names |= {
                part.id
                for part in ast.walk(node)
                if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)
            }
            for field in ("body", "orelse", "finalbody", "handlers"):
                inner = getattr(node, field, [])
                names |= _top_level_names([n for n in inner if isinstance(n, ast.stmt)])
                for handler in inner:
                    if isinstance(handler, ast.ExceptHandler):
                        names |= _top_level_names(handler.body)
    return names


def _require_signature(function: Callable[..., Any], reference: Reference, role: Role) -> None:
    """Raise InputError unless the object takes the role's arguments."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # of compiled code, which does not tell
        return
    try:
        signature.bind(*range(role.positional), **dict.fromkeys(role.keywords))
    except TypeError as error:
        raise InputError(
            f"{role.setting}: {reference.text} ({reference.file}) has the arguments {signature}; "
            f"expected {role.signature}, which returns {role.returns}: {error}."
        ) from error


def _raised(text: str, role: Role, error: Exception) -> str:
    """Return the message about an error of the user's code, with the line of the user's file."""
    reference = parse(text)
    path = str(source_of(text).path)
    lines = [frame.lineno for frame in extract_tb(error.__traceback__) if frame.filename == path]
    where = f"{path}, line {lines[-1]}" if lines else path
    hint = ""
    if isinstance(error, ModuleNotFoundError):
        hint = " A module is one file: it may import installed packages, but not files beside it."
    reason = str(error).strip().rstrip(".") or "no message"
    return (
        f"{role.setting}: {reference.text} raised {type(error).__name__} in {where}: "
        f"{reason}.{hint}"
    )


@cache
def once(text: str, role: Role) -> Callable[..., Any]:
    """Return what `resolve` does, remembered: for objects that are called very often."""
    return resolve(text, role)

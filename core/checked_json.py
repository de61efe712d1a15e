"""JSON files from elsewhere, read into a schema: their size first, then every problem at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from goldfold.errors import InputError, list_problems, plural
from goldfold.schema_errors import explain_errors

Schema = TypeVar("Schema", bound=BaseModel)


def read_bounded(path: Path, most_bytes: int, remedy: str) -> bytes:
    """Return the bytes of a file that may not be larger than `most_bytes`.

    Raises:
        InputError: it is missing, no regular file, larger, or cannot be read.
    """
    try:
        if not path.is_file():
            problem = "is not a regular file" if path.exists() else "does not exist"
            raise InputError(f"{path} {problem}. {remedy}")
        size = path.stat().st_size
        if size > most_bytes:
            raise InputError(
                f"{path} has {size:,} bytes, at most {most_bytes:,} were expected. {remedy}"
            )
        with path.open("rb") as file:
            return file.read(most_bytes)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}. {remedy}") from error


def read_checked(path: Path, schema: type[Schema], *, most_bytes: int, remedy: str) -> Schema:
    """Return the content of a JSON file as its schema.

    Raises:
        InputError: it cannot be read, is larger than `most_bytes`, or does not follow the schema.
    """
    return check_json(read_bounded(path, most_bytes, remedy), schema, path, remedy)


def check_json(content: str | bytes, schema: type[Schema], source: Path, remedy: str) -> Schema:
    """Return JSON text as its schema; types are strict: "5" and true are no whole numbers.

    Args:
        content: JSON.
        schema: which must forbid unknown keys.
        source: the file, for the message.
        remedy: what to do about a bad file.

    Raises:
        InputError: lists every problem.
    """
    try:
        return schema.model_validate_json(content, strict=True)
    except ValidationError as error:
        errors = error.errors(include_url=False)
        if errors[0]["type"] == "json_invalid":
            raise InputError(
                f"cannot read {source} as JSON: {errors[0]['ctx']['error']}. {remedy}"
            ) from None
        problems = explain_errors(errors, schema, "field")
        count = plural(len(problems), "problem", "problems")
        raise InputError(list_problems(f"{source} has {count}:", problems, remedy)) from None


def check_values(content: Any, schema: type[Schema], source: Path, remedy: str) -> Schema:
    """Return JSON values as their schema, as `check_json` does with text.

    Raises:
        InputError: lists every problem.
    """
    return check_json(json.dumps(content), schema, source, remedy)


def check_known(content: Any, schema: type[Schema], source: Path, remedy: str) -> Schema:
    """Return those JSON values that a schema knows; the file may say more, and in its lists too.

    A value that is a schema itself must be whole: nothing of a rule is overlooked.

    Raises:
        InputError: lists every problem.
    """
    return check_values(_known(content, schema), schema, source, remedy)


def _known(content: Any, schema: type[BaseModel]) -> Any:
    """Return the values of the fields of a schema, and within lists of schemas those of theirs."""
    if not isinstance(content, dict):
        return content
    known = {}
    for name in (name for name in schema.model_fields if name in content):
        value, inner = content[name], get_args(schema.model_fields[name].annotation)
        of_schema = inner and isinstance(inner[0], type) and issubclass(inner[0], BaseModel)
        known[name] = value
        if isinstance(value, list) and of_schema:
            known[name] = [_known(item, inner[0]) for item in value]
    return known

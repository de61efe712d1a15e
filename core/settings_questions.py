"""The table [questions] of goldfold.toml."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

Question = Annotated[str, Field(min_length=1)]
Questions = dict[str, Question]
"""Dotted setting that answers the question -> text of the question.

Part of no fingerprint, record or exported model: nothing is made while there are questions.
"""

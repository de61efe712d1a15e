"""What each step of a training asks of the pretend GPU."""

from __future__ import annotations

from pretend_gpu.ledger import Ledger


class EachStep:
    """A Progress that notes what was counted from the end of one step to the end of the next.

    Attributes:
        said: lines, warnings among them.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.said: list[str] = []
        self._ledger, self._copies = ledger, [ledger.copy()]

    @property
    def steps(self) -> list[Ledger]:
        """What each step added; the first begins where this object was made."""
        pairs = zip(self._copies[1:], self._copies[:-1], strict=True)
        return [later.since(earlier) for later, earlier in pairs]

    def task(self, description: str, total: int) -> EachStep:
        return self

    def __enter__(self) -> EachStep:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def advance(self, steps: int = 1, **fields: object) -> None:
        self._copies += [self._ledger.copy()] * steps

    def say(self, text: str) -> None:
        self.said.append(text)

    warn = say

"""Compiled graphs, shared and counted: of networks in training and of those that predict.

PyTorch shares a graph among networks of the same backend, and compiles a function at most eight
times: beyond that it runs it as it is, without a word. All networks of a library may share one
`forward`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

_MOST_GRAPHS = 256
"""Of one function: architectures times shapes."""


class GraphRuns:
    """A backend of torch.compile that counts how often its graphs are made and run."""

    def __init__(self, backend: str = "inductor") -> None:
        """Count from zero what a backend of PyTorch makes."""
        self.backend = backend
        self.made = self.ran = 0
        self._replays = False

    def __call__(
        self, graph: Any, inputs: Any, *, options: Mapping[str, Any] | None = None
    ) -> Callable[..., Any]:
        """Compile a graph; TorchDynamo calls this.

        Args:
            graph: of torch.fx.
            inputs: examples.
            options: of inductor.
        """
        from torch._dynamo import lookup_backend

        self._replays = self._replays or bool(options and options.get("triton.cudagraphs"))
        for_inductor = {"config_patches": dict(options)} if options else {}
        known = for_inductor if self.backend == "inductor" else {}
        compiled = lookup_backend(self.backend)(graph, inputs, **known)
        self.made += 1

        def run(*arguments: Any) -> Any:
            self.ran += 1
            return compiled(*arguments)

        return run

    def reset(self) -> None:
        """Let go of recorded CUDA graphs; `torch.compiler.reset` calls this."""
        if self._replays:
            from torch._inductor.cudagraph_trees import reset_cudagraph_trees

            reset_cudagraph_trees()


GRAPHS = GraphRuns()
"""One for the process: graphs are shared among networks with the same backend only."""


def many_graphs() -> AbstractContextManager[object]:
    """Return a context in which PyTorch compiles a function as often as is needed."""
    import torch._dynamo.config as dynamo

    # PyTorch 2.7 renamed the first pair.
    names = ("recompile_limit", "accumulated_recompile_limit")
    if not hasattr(dynamo, names[0]):
        names = ("cache_size_limit", "accumulated_cache_size_limit")
    patch: AbstractContextManager[object] = dynamo.patch(dict.fromkeys(names, _MOST_GRAPHS))
    return patch


def first_line(error: BaseException) -> str:
    """Return the beginning of an error's message; PyTorch's have many lines."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]

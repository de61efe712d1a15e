"""What differs between kinds of competition: one `Task` each, found by `task_of`."""

from goldfold.lazy_imports import lazy_exports

__all__ = [
    "Classes",
    "Explanation",
    "Judgement",
    "Masks",
    "MemberSource",
    "RunView",
    "Task",
    "task_of",
]
__getattr__ = lazy_exports(
    __name__,
    {
        "Classes": "classes",
        "Explanation": "results",
        "Judgement": "results",
        "Masks": "masks",
        "MemberSource": "run_view",
        "RunView": "run_view",
        "Task": "task",
        "task_of": "registry",
    },
)

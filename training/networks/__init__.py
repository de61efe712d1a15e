"""Networks by name, their heads, and what of them does not learn."""

from goldfold.lazy_imports import lazy_exports

_HOMES = {
    "DoubleUnet": "double_unet",
    "VanillaUnet": "vanilla_unet",
    "build_model": "build",
    "enable_gradient_checkpointing": "gradient_checkpointing",
    "freeze": "freezing",
    "set_training_mode": "freezing",
    "split_output": "output",
}
__all__ = sorted(_HOMES)  # noqa: PLE0605
__getattr__ = lazy_exports(__name__, _HOMES)

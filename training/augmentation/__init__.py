"""Augmentation: one sampling map and one lookup table per image, then changes of pixels."""

from goldfold.lazy_imports import lazy_exports

_HOMES = {
    "Draw": "changes",
    "RECIPES": "recipe",
    "Recipe": "recipe",
    "Warp": "warp",
    "Window": "warp",
    "apply": "pipeline",
    "augment": "pipeline",
    "augment_on_device": "on_device",
    "draw": "changes",
    "get_recipe": "recipe",
    "pack_draws": "packing",
    "sampling_map": "warp",
    "tone_table": "tones",
    "warp_image_and_mask": "warp",
}
__all__ = sorted(_HOMES)  # noqa: PLE0605
__getattr__ = lazy_exports(__name__, _HOMES)

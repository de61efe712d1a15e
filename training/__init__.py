"""From cached images to checkpoints: sampling, augmentation, networks, losses, the loop."""

from goldfold.lazy import lazy_exports

_HOMES = {
    "Checkpoint": "checkpoint",
    "EpochPlan": "sampler",
    "FoldData": "fold_run",
    "FoldRun": "fold_folder",
    "ImageCache": "cache",
    "RECIPES": "augmentation",
    "Recipe": "augmentation",
    "ValidationImages": "validation",
    "ValidationScore": "validation",
    "Warp": "warp",
    "WeightedLoss": "loss",
    "augment": "augmentation",
    "build_cache": "cache",
    "build_model": "model",
    "choose_device": "device",
    "fraction_at": "sampler",
    "get_recipe": "augmentation",
    "list_checkpoints": "checkpoint",
    "load_model": "checkpoint",
    "soft_dice_loss": "loss",
    "train_fold": "fold_run",
    "validate": "validation",
    "warp_image_and_mask": "warp",
}
__all__ = sorted(_HOMES)  # noqa: PLE0605
__getattr__ = lazy_exports(__name__, _HOMES)

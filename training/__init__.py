"""From cached images to checkpoints: sampling, augmentation, networks, losses, the loop."""

from goldfold.lazy_imports import lazy_exports

_HOMES = {
    "Checkpoint": "checkpoint",
    "EpochPlan": "sampler",
    "FoldData": "fold_run",
    "FoldRun": "fold_folder",
    "FoldSampler": "fold_sampler",
    "ImageCache": "cache",
    "Machine": "runtime",
    "RECIPES": "augmentation",
    "Ranks": "ranks",
    "Recipe": "augmentation",
    "StagePlan": "stage_plan",
    "TrainingImages": "images",
    "ValidationImages": "validation",
    "ValidationScore": "validation",
    "Warp": "augmentation",
    "WeightedLoss": "losses",
    "augment": "augmentation",
    "build_cache": "cache",
    "build_model": "networks",
    "choose_device": "device",
    "fraction_at": "sampler",
    "get_recipe": "augmentation",
    "list_checkpoints": "checkpoint",
    "load_model": "checkpoint",
    "soft_dice_loss": "losses",
    "split_output": "networks",
    "train_fold": "fold_run",
    "validate": "validation",
    "warp_image_and_mask": "augmentation",
}
__all__ = sorted(_HOMES)  # noqa: PLE0605
__getattr__ = lazy_exports(__name__, _HOMES)

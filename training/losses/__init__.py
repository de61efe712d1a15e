"""What training minimises: weighted sums of losses over pixels, always in float32."""

from goldfold.lazy_imports import lazy_exports

_HOMES = {
    "WeightedLoss": "weighted",
    "binary_cross_entropy": "pixel",
    "focal_loss": "pixel",
    "soft_dice_loss": "overlap",
    "symmetric_lovasz_hinge": "lovasz",
    "tversky_loss": "overlap",
}
__all__ = sorted(_HOMES)  # noqa: PLE0605
__getattr__ = lazy_exports(__name__, _HOMES)

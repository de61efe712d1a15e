"""The synthetic competition: chest phantoms in SIIM's file formats, made from a seed."""

from goldfold.lazy import lazy_exports

__all__ = [
    "LungReport",
    "SyntheticReport",
    "draw_contact_sheet",
    "synthesize",
    "synthesize_lungs",
    "synthetic_example",
    "write_contact_sheet",
]

__getattr__ = lazy_exports(
    __name__,
    {
        "LungReport": "lung_release",
        "SyntheticReport": "competition",
        "synthesize_lungs": "lung_release",
        "synthesize": "competition",
        "synthetic_example": "phantom",
        "draw_contact_sheet": "contact_sheet",
        "write_contact_sheet": "contact_sheet",
    },
)

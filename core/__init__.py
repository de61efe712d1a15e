"""goldfold: from a folder of medical images and a label table to a scored submission."""

__version__ = "0.1.0"

__all__ = ["__version__"]

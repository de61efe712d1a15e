"""goldfold: from a folder of medical images and a label table to a scored submission."""

import os

from goldfold.openmp import let_waiting_threads_sleep

__version__ = "0.1.0"

__all__ = ["__version__"]

let_waiting_threads_sleep(os.environ)

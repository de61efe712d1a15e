"""goldfold.commands."""

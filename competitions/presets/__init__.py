"""Competition presets: data, no code."""

"""Folders laid out like those of real competitions, of noise and drawn shapes, with their truth."""

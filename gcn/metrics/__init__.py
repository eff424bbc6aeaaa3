"""Measurements: distortion, realism without learned weights, classical codecs, and stability of the game."""

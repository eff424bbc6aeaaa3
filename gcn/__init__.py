"""gcn: generative compression networks, and whether a distortion loss stabilises their game."""

__version__ = "0.2.0"

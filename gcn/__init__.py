"""gcn: generative compression networks, and whether a distortion loss stabilises their training."""

__version__ = "0.2.0"

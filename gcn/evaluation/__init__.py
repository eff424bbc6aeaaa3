"""Evaluation of codecs on unseen images: real files, distortion, realism, classical codecs at the same rate."""

SMALLER = "evaluate smaller images, or close other programs"  # where memory runs out

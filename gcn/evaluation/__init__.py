"""Codecs on images that they have not seen: real files, distortion, realism, and classical codecs at the same bits."""

SMALLER = "evaluate smaller images, or close other programs"  # where memory runs out

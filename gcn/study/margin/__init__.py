"""Margins: how far learning rates or the adversary can be raised before a run no longer holds."""

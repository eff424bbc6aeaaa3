"""Factorial studies of training: their arms, how these are trained, and the report of the results."""

"""Benchmarks. Contenders take turns in one process: on a shared machine only ratios of times mean something."""

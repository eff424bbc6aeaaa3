"""What code costs. Contenders take turns in one process: on a shared machine only ratios mean something."""

"""Reports of a run: tables, figures, a summary and a W&B log. Imports neither lightning nor hydra."""

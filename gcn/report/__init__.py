"""What a run leaves behind: tables, figures, a summary and a W&B log. Knows neither lightning nor hydra."""

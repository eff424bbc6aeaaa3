"""The report of an evaluation: a table, figures and a page."""

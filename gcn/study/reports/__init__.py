"""Reports of studies: tables of effects, figures and pages."""

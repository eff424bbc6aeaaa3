"""Training of games by Lightning."""

"""Files: writing them whole or not at all, reading them within limits, and showing their names."""

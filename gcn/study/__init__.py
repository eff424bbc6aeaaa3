"""A factorial study of the game: its arms, how they are trained, and what the table says."""

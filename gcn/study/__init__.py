"""A factorial study of the game: its arms, how they are played, and what the table says."""

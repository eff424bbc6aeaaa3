"""The methods of this project in one table: what each is, and what it does in a small game and in a codec's."""

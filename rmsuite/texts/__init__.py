"""A user's own texts: read them, lay them out as a pool, embed them."""

"""Who is connected, and how available they are."""

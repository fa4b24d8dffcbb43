"""Who is in which room, and who hears what in which order."""

"""What was said and which calls took place."""

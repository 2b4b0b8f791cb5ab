"""What is forced, and what follows from it."""

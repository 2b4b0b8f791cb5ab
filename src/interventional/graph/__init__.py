"""Who causes whom, and what follows from that alone: separation, identification, independences."""

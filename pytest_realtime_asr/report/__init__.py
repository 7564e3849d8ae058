"""Shows results to the user: in the terminal, in files and in messages."""

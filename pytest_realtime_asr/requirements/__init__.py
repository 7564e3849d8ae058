"""What a server has to do: requirements, their checks and the evidence."""

"""Requirements on servers and clients, their checks, and the evidence for them."""

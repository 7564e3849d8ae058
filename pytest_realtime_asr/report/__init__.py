"""Results as text: one computation, many views."""

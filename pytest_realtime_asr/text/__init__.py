"""Text that enters or leaves the process: parsing, number formats, secrets."""

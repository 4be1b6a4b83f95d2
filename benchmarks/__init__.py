"""Numbers that the product must reach, each printed as a table. See README.md here."""

"""Numbers that the product is held to, each printed as a table. See README.md here."""

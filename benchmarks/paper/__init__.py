"""The paper's figures and the supplement's, each by one command (docs/paper.md)."""

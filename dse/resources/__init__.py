"""The hardware half: how fast, how hungry, how big and how dear a chip is. Knows no model."""

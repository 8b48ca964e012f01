"""The software half: how much work a decode step is. Knows no chip."""

"""Estimates and studies for people: tables, figures, colours."""

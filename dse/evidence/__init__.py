"""How far to believe the model: published measurements, errors against them, fitted styles."""

"""The search: a study file in, a confirmed front out. Optuna proposes, JAX evaluates in batches."""

"""Which trial comes next: samplers, the Optuna study of a sweep, and Ray Tune's view of it."""

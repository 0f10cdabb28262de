"""MLflow as a projection of the sweep: the only MLflow code. One writer thread; training never waits for it."""

from explorer.tracking.tracker import MlflowTracker

__all__ = ["MlflowTracker"]

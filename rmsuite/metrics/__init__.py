"""Metrics: what is computed from rewards, prompt by prompt. One frozen record each; ``METRICS`` lists them."""

from rmsuite.metrics.catalogue import METRICS, applicable, metric
from rmsuite.metrics.record import Metric

__all__ = ["METRICS", "Metric", "applicable", "metric"]

"""Metrics: what is computed from rewards, prompt by prompt. One frozen record each; ``METRICS`` lists them."""

from rmsuite.metrics.catalogue import METRICS, Metric, applicable, metric

__all__ = ["METRICS", "Metric", "applicable", "metric"]

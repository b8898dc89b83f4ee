"""Datasets: items in blocks, transformed by tasks. Only what a first program needs; the library comes later."""

from shoal.data.create import from_items, range
from shoal.data.dataset import Dataset

__all__ = ["Dataset", "from_items", "range"]

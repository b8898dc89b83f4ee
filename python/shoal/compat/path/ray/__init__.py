"""Stands for `ray` in subprocesses of a program that `shoal.compat` runs: it becomes shoal as it is imported."""

import sys

from shoal import compat

compat.install()
sys.modules[__name__] = __import__("shoal")

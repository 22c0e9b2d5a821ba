"""Mixtures of experts: several networks compiled together, of which only the chosen experts run."""

from .plan import Mixture, Task, compose, is_mixture, read_mixture

__all__ = ["Mixture", "Task", "compose", "is_mixture", "read_mixture"]

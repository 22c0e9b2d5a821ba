"""Readers of public and own data sets, each giving :class:`~thumbnet.training.hemodynamics.windowset.PpgWindows`."""

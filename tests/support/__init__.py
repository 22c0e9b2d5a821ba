"""Helpers shared by the tests of several rooms: a .tflite builder and the oracle."""

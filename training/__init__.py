"""Signals, models and training: everything before the .tflite file."""

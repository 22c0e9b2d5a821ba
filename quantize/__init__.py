"""Compression of a trained Keras model into an int8 .tflite file and a bundle."""

"""The ahead-of-time compiler: an int8 .tflite file in, portable C out. Never imports TensorFlow."""

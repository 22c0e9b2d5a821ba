"""Golden vectors: what TensorFlow Lite Micro computed, for machines that cannot run it."""

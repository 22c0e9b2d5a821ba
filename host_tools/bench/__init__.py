"""`thumbnet bench`: models on boards beside reference figures, and figures that must not get worse."""

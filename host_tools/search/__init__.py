"""Hardware-aware search: networks of other sizes, judged by int8 accuracy under budgets that the compiler checks."""

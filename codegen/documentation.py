"""docs/supported-operators.md, printed from the constraints themselves."""

from __future__ import annotations

from .ops import OPERATORS

_HEAD = """# Supported operators

Printed from the compiler's own constraints by `python -m thumbnet.codegen.documentation`; do not edit.

A model is refused before any file is written when one of its layers breaks a constraint; `thumbnet analyze MODEL`
lists all such layers at once. Outputs equal TensorFlow Lite Micro's, byte for byte.
"""


def supported_operators() -> str:
    """Return the page as Markdown."""
    rows = [_HEAD, "| operator | computes | constraints |", "|---|---|---|"]
    for operator in OPERATORS.values():
        constraints = "; ".join(constraint.text for constraint in operator.constraints)
        rows.append(f"| `{operator.name}` | {operator.summary} | {constraints} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    print(supported_operators(), end="")

"""Layer names that try to leave the comments of generated code."""

from __future__ import annotations

from .tflite_builder import ModelBuilder

HOSTILE = (
    "*/ int x; /*",
    "// \\",
    "ends in a backslash\\",
    "trigraph ??/",
    "*??/\n/",
    "new\nline",
    "#include <evil.h>",
    '"; system("rm -rf /");',
    "{% raw %}{{ p }}",
    "%s%n",
    "/* nested",
    "日本語 Ωμέγα \u202e reversed \u2028",
    "\0\1\x1b[31m",
    "x" * 5000,
)


def chain(names: tuple[str, ...]) -> bytes:
    """Rectifiers in a row, one per name."""
    builder = ModelBuilder()
    first = x = builder.tensor((1, 4), scale=0.1, name=names[0])
    for name in names[1:]:
        before, x = x, builder.tensor((1, 4), scale=0.1, name=name)
        builder.operator("LEAKY_RELU", [before], [x], alpha=0.5)
    return builder.build([first], [x])

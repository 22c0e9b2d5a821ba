"""Every so many pixels of a tensor, a layer of the compiler's own (:mod:`thumbnet.codegen.passes.late_links`)."""

from __future__ import annotations

import numpy as np

from ..ir import Graph, Node
from .base import Call, Lowered, Operator, Slicer, StreamRule, Window
from .views import KERNEL, View, copy_call, dummy


def _view(graph: Graph, node: Node) -> tuple[View, View]:
    source = dummy(graph.input(node, 0))
    return source, source[:, :: node.attrs["stride_h"], :: node.attrs["stride_w"]]


def lower(graph: Graph, node: Node) -> Lowered:
    """One copy."""
    source, view = _view(graph, node)
    target = np.empty(view.shape, view.dtype)
    return Lowered(kernels=KERNEL, calls=(copy_call(view, source, target, target, ("{in0}", "{out0}")),))


def stream(graph: Graph, node: Node, slicer: Slicer) -> StreamRule:
    """Pixels of one slice out of so many."""
    target, step = graph.output(node), node.attrs["stride_w"]
    pixel = target.shape[3]
    pixels, step, size = (1, 0, target.shape[2] * pixel) if step == 1 else (target.shape[2], step * pixel, pixel)
    call = Call("tn_stream_take", ("{in0}", f"{pixels}u", str(step), str(size), "{out0}"))
    return StreamRule(Window(stride=node.attrs["stride_h"]), Lowered(calls=(call,)))


OPERATOR = Operator("SUBSAMPLE", (), lower, stream=stream)

"""Changes of shape that cancel out: what disappears, what stays, and that streams go on through them."""

from __future__ import annotations

from support.pass_nets import Net, check_exact, operators
from thumbnet.codegen import compile_model
from thumbnet.codegen.ir import Graph
from thumbnet.codegen.passes.drop_reshapes import drop_reshapes
from thumbnet.codegen.passes.drop_unused import drop_unused


def dropped(graph: Graph) -> Graph:
    return check_exact(graph, lambda g: drop_unused(drop_reshapes(g)))


def network(net: Net) -> int:
    """Two convolutions with both changes of shape between."""
    a = net.conv(net.input, net.weights(4, 3, 3, 3))
    _, height, width, _ = net.builder.shape(a)
    b = net.reshape(net.reshape(a, 1, height * width, 4), 1, height, width, 4)
    return net.conv(b, net.weights(2, 3, 3, 4))


def test_there_and_back_disappears() -> None:
    net = Net()
    assert operators(dropped(net.graph(network(net)))) == ["CONV_2D", "CONV_2D"]


def test_two_in_a_row_become_one() -> None:
    net = Net()
    a = net.unary("TANH", net.reshape(net.reshape(net.input, 1, 30, 3), 3, 30), scale=1 / 128)
    after = dropped(net.graph(a))
    assert operators(after) == ["RESHAPE", "TANH"]
    assert after.nodes[0].inputs[0] == net.input


def test_an_output_is_written_even_where_it_is_the_input_again() -> None:
    net = Net()
    b = net.reshape(net.reshape(net.input, 1, 30, 3), 1, 5, 6, 3)
    assert operators(dropped(net.graph(b))) == ["RESHAPE"]


def test_another_meaning_of_the_same_codes_stays() -> None:
    net = Net()
    b = net.reshape(net.reshape(net.input, 1, 30, 3), 1, 5, 6, 3, scale=0.2)
    assert operators(dropped(net.graph(net.conv(b, net.weights(2, 1, 1, 3))))) == ["RESHAPE", "CONV_2D"]


def test_a_stream_goes_on() -> None:
    net = Net(size=(40, 6))
    last = network(net)
    model = net.model(net.reshape(last, 1, 480))
    on = compile_model(model, schedule="stream-h")
    off = compile_model(model, schedule="stream-h", disable=["drop-reshapes"])
    assert on.state_bytes < off.state_bytes

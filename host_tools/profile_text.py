"""A profile for people: totals, layers, memory by section, biggest symbols."""

from __future__ import annotations

from rich.console import Console

from .names import short_name
from .profile import Profile
from .text import count, new_table, open_console

_SYMBOLS = 12
_BAR = 10


def print_profile(profile: Profile) -> None:
    """Print everything on standard output."""
    console = open_console()
    console.print(f"[bold]{profile.model.path.name} on {profile.board.name}[/] ({profile.board.title})")
    _print_layers(console, profile)
    _print_totals(console, profile)
    if not profile.board.is_host:
        # Those of a hosted program say nothing about a microcontroller.
        _print_sections(console, profile)
    _print_symbols(console, profile)


def _print_layers(console: Console, profile: Profile) -> None:
    table = new_table("layers", f">|operator|output|>MACs|>{profile.meter.unit}|>per MAC|share|name")
    whole = sum(cost.cost or 0 for cost in profile.layers) or 1
    for cost in profile.layers:
        layer, share = cost.layer, (cost.cost or 0) / whole
        table.add_row(
            str(layer.index), layer.op, _shape(layer.shape), count(layer.macs) if layer.macs else "",
            count(cost.cost), _ratio(cost.cost, layer.macs), f"{'█' * round(share * _BAR):<{_BAR}} {share:4.0%}",
            short_name(layer.name, 28),
        )  # fmt: skip
    console.print(table)


def _shape(shape: tuple[int, ...]) -> str:
    """Without the batch, which is always 1."""
    return "x".join(map(str, shape[1:] if len(shape) > 1 and shape[0] == 1 else shape))


def _ratio(cost: int | None, macs: int) -> str:
    return f"{cost / macs:.2f}" if cost is not None and macs else ""


def _print_totals(console: Console, profile: Profile) -> None:
    image = profile.footprint
    table = new_table("one inference", "|>|", None)
    table.show_header = False
    ratio = _ratio(profile.cost, profile.macs)
    table.add_row(profile.meter.unit, count(profile.cost), f"{ratio} per MAC, {count(profile.macs)} MACs")
    table.add_row("", "", f"by {profile.meter.source}")
    if profile.pushes is not None:
        pushes = profile.pushes
        table.add_row("  push, mean", f"{pushes.push_mean:,.0f}", "one slice at a time")
        table.add_row("  push, longest", count(pushes.push_max), f"slice {pushes.push_max_at:,}")
        table.add_row("  finish", count(pushes.finish), "after the last slice")
    table.add_row("state", count(profile.state_bytes, "B"), "the model's struct, all scratch included")
    arena = count(profile.arena_bytes, "B")
    table.add_row("TFLM arena", arena, "of TensorFlow Lite Micro for the same model, 64-bit host")
    if not profile.board.is_host:
        reserved = f"deepest use; {count(image.stack_bytes)} B reserved"
        table.add_row("stack", count(profile.stack_bytes, "B"), reserved)
        table.add_row("link", count(profile.link_bytes, "B"), "frames, receive ring, protocol state")
    table.add_row("RAM", count(image.ram_bytes, "B"), _of(image.ram_bytes, profile.board.ram_bytes))
    table.add_row("flash", count(image.flash_bytes, "B"), _of(image.flash_bytes, profile.board.flash_bytes))
    table.add_row("  code", count(image.code_bytes, "B"), "the model's own")
    table.add_row("  weights", count(image.weight_bytes, "B"), "the model's own")
    console.print(table)


def _of(used: int, available: int) -> str:
    return f"{used / available:.1%} of {available:,}, device application and link included" if available else ""


def _print_sections(console: Console, profile: Profile) -> None:
    table = new_table("sections", "section|>bytes|>address|in")
    for section in profile.footprint.sections:
        place = {"both": "flash and RAM"}.get(section.place, section.place)
        table.add_row(section.name, count(section.size), f"0x{section.address:08x}", place)
    console.print(table)


def _print_symbols(console: Console, profile: Profile) -> None:
    table = new_table("biggest symbols", "symbol|>bytes|section|from")
    for symbol in profile.footprint.symbols[:_SYMBOLS]:
        style = "bold" if symbol.is_model else None
        table.add_row(symbol.name, count(symbol.size), symbol.section, symbol.object, style=style)
    console.print(table)

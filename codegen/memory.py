"""The static memory plan: where in the arena every tensor lives, found once and for all before linking.

Tensors whose lifetimes overlap get disjoint places, except where an operator allows its output to lie over its
input. Finding the smallest arena is dynamic storage allocation, which is NP-hard; the plan tries several orders of
first-fit placement and stops at the lower bound, which it reports, so that the gap to the optimum is known.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

ALIGNMENT = 4
_RANDOM_ORDERS = 200

Key = int | tuple[int, int]


@dataclass(frozen=True)
class Block:
    """A tensor to place.

    Attributes
    ----------
    key : int or tuple of int
        Name of the block, a tensor's index for example.
    bytes : int
        Size.
    first, last : int
        First and last step at which it holds a value, both included.
    over : mapping of key to int
        Blocks that this one may lie over, with the bytes by which it has to start before them; 0 where it may start
        at the same place.
    """

    key: Key
    bytes: int
    first: int
    last: int
    over: Mapping[Key, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """Offsets in bytes by key, the arena's size, and the size below which no plan can go."""

    offsets: Mapping[Key, int]
    bytes: int
    lower_bound: int


def aligned(size: int) -> int:
    """`size` rounded up to the arena's alignment."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def plan_memory(blocks: Sequence[Block]) -> Plan:
    """Place all blocks.

    Returns
    -------
    Plan
        `bytes` equals `lower_bound` when the plan is proven optimal.
    """
    bound = lower_bound(blocks)
    best: dict[Key, int] | None = None
    best_size = 0
    for order in _orders(blocks):
        offsets = _first_fit(order)
        size = max((offsets[b.key] + aligned(b.bytes) for b in blocks), default=0)
        if best is None or size < best_size:
            best, best_size = offsets, size
        if best_size == bound:
            break
    return Plan(best or {}, best_size, bound)


def lower_bound(blocks: Sequence[Block]) -> int:
    """Bytes that live at the busiest step; a block needs no room where it may lie over others."""
    steps = {b.first for b in blocks}
    return max((_live_bytes([b for b in blocks if b.first <= step <= b.last]) for step in steps), default=0)


def _live_bytes(live: Sequence[Block]) -> int:
    total = sum(aligned(b.bytes) for b in live)
    for block in live:
        shared = sum(_shareable(block, other) for other in live if other.key in block.over)
        total -= min(aligned(block.bytes), shared)
    return total


def _shareable(block: Block, other: Block) -> int:
    """Bytes that both can have in common at most, when `block` lies over `other`."""
    return max(min(aligned(block.bytes) - block.over[other.key], aligned(other.bytes)), 0)


def _orders(blocks: Sequence[Block]) -> Iterable[list[Block]]:
    yield sorted(blocks, key=lambda b: (-aligned(b.bytes), b.first))
    yield sorted(blocks, key=lambda b: (-aligned(b.bytes) * (b.last - b.first + 1), b.first))
    yield sorted(blocks, key=lambda b: (b.first, -aligned(b.bytes)))
    yield sorted(blocks, key=lambda b: (-b.last, -aligned(b.bytes)))
    generator = random.Random(0)
    order = sorted(blocks, key=lambda b: (-aligned(b.bytes), b.first))
    for _ in range(_RANDOM_ORDERS if len(order) > 2 else 0):
        i, j = generator.sample(range(len(order)), 2)
        order = order.copy()
        order[i], order[j] = order[j], order[i]
        yield order


def _first_fit(order: Sequence[Block]) -> dict[Key, int]:
    offsets: dict[Key, int] = {}
    placed: list[Block] = []
    for block in order:
        rivals = [b for b in placed if b.first <= block.last and block.first <= b.last]
        candidates = {0, *(offsets[b.key] + aligned(b.bytes) for b in rivals), *_over_starts(block, rivals, offsets)}
        offsets[block.key] = next(
            at for at in sorted(candidates) if all(_compatible(block, at, b, offsets[b.key]) for b in rivals)
        )
        placed.append(block)
    return offsets


def _over_starts(block: Block, rivals: Sequence[Block], offsets: Mapping[Key, int]) -> list[int]:
    """Places where the block may lie over others, or others over it."""
    starts = [offsets[b.key] - aligned(block.over[b.key]) for b in rivals if b.key in block.over]
    starts += [offsets[b.key] + aligned(b.over[block.key]) for b in rivals if block.key in b.over]
    return [start for start in starts if start >= 0]


def _compatible(block: Block, at: int, other: Block, other_at: int) -> bool:
    if at + aligned(block.bytes) <= other_at or other_at + aligned(other.bytes) <= at:
        return True
    if other.key in block.over:
        return at + block.over[other.key] <= other_at
    return block.key in other.over and other_at + other.over[block.key] <= at

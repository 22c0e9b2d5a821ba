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
#: Blocks placed in the search for a good order.
_EFFORT = 20_000

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
    placer = _Placer(blocks)
    best, size = placer.search(bound)
    return Plan({block.key: at for block, at in zip(blocks, best, strict=True)}, size, bound)


def lower_bound(blocks: Sequence[Block]) -> int:
    """Bytes that live at the busiest step; a block needs no room where it may lie over others."""
    steps = {b.first for b in blocks}
    return max((_live_bytes([b for b in blocks if b.first <= step <= b.last]) for step in steps), default=0)


def _live_bytes(live: Sequence[Block]) -> int:
    """Blocks less what they can share.

    A block shares no more than its size. Of several over the same one only the last can share anything with it: the
    others end before that one begins, hence before the block that all of them have to start before.
    """
    sizes = {block.key: aligned(block.bytes) for block in live}
    upper, lower = dict.fromkeys(sizes, 0), dict.fromkeys(sizes, 0)
    for block in live:
        for other in block.over.keys() & sizes.keys():
            shared = max(min(sizes[block.key] - block.over[other], sizes[other]), 0)
            upper[block.key] += shared
            lower[other] = max(lower[other], shared)
    saved = (sum(min(shared, sizes[key]) for key, shared in side.items()) for side in (upper, lower))
    return sum(sizes.values()) - min(saved)


class _Placer:
    """First fit in any order, and a search for the order that needs least."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        self.blocks = blocks
        self.sizes = [aligned(block.bytes) for block in blocks]
        numbers = {block.key: i for i, block in enumerate(blocks)}
        self.rivals = [
            [j for j, b in enumerate(blocks) if j != i and b.first <= a.last and a.first <= b.last]
            for i, a in enumerate(blocks)
        ]
        self.over = [{numbers[k]: aligned(gap) for k, gap in b.over.items() if k in numbers} for b in blocks]

    def search(self, bound: int) -> tuple[list[int], int]:
        """Offsets and their extent: several orders, then the best one changed step by step, a bounded number of times.

        The same blocks give the same plan.
        """
        best, size, order = [0] * len(self.blocks), 0, list(range(len(self.blocks)))
        for number, trial in enumerate(self._orders()):
            offsets = self.first_fit(trial)
            extent = max((at + self.sizes[i] for i, at in enumerate(offsets)), default=0)
            if number == 0 or extent < size:
                best, size, order = offsets, extent, trial
        generator = random.Random(0)
        for _ in range(_EFFORT // max(len(order), 1) if len(order) > 2 else 0):
            if size == bound:
                break
            trial = order.copy()
            trial.insert(generator.randrange(len(order)), trial.pop(generator.randrange(len(order))))
            offsets = self.first_fit(trial)
            extent = max(at + self.sizes[i] for i, at in enumerate(offsets))
            if extent <= size:
                best, size, order = offsets, extent, trial
        return best, size

    def _orders(self) -> Iterable[list[int]]:
        numbers, size, blocks = range(len(self.blocks)), self.sizes, self.blocks
        yield sorted(numbers, key=lambda i: (-size[i], blocks[i].first))
        yield sorted(numbers, key=lambda i: (-size[i] * (blocks[i].last - blocks[i].first + 1), blocks[i].first))
        yield sorted(numbers, key=lambda i: (blocks[i].first, -size[i]))
        yield sorted(numbers, key=lambda i: (-blocks[i].last, -size[i]))
        yield sorted(numbers, key=lambda i: (-blocks[i].first, -size[i]))

    def first_fit(self, order: Sequence[int]) -> list[int]:
        """Every block at the lowest place that those before it leave free."""
        offsets = [-1] * len(self.blocks)
        for i in order:
            taken = sorted(self._taken(i, j, offsets[j]) for j in self.rivals[i] if offsets[j] >= 0)
            at = 0
            for low, high in taken:
                if at <= low:
                    break
                at = max(at, high)
            offsets[i] = at
        return offsets

    def _taken(self, i: int, j: int, other: int) -> tuple[int, int]:
        """Open interval of the places that block `i` cannot have because of block `j` at `other`."""
        if j in self.over[i]:
            return max(other - self.over[i][j], other - self.sizes[i]), other + self.sizes[j]
        if i in self.over[j]:
            return other - self.sizes[i], min(other + self.over[j][i], other + self.sizes[j])
        return other - self.sizes[i], other + self.sizes[j]

"""The memory plan: live tensors never share bytes, unless an operator allows its output over its input."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from thumbnet.codegen.memory import ALIGNMENT, Block, Plan, _Placer, aligned, plan_memory


def random_blocks(rng: random.Random, count: int) -> list[Block]:
    """Blocks as a graph of `count` tensors makes them: a block may lie over those that end where it begins."""
    blocks: list[Block] = []
    for key in range(count):
        first = rng.randint(0, count)
        last = min(first + rng.choice([0, 1, 1, 2, 5]), count)
        ending = [b.key for b in blocks if b.last == first and b.first < first]
        over = {k: rng.choice([0, 0, 3, 17]) for k in ending if rng.random() < 0.6}
        blocks.append(Block(key, rng.randint(1, rng.choice([4, 40, 400])), first, last, over))
    return blocks


def problems_of(plan: Plan, blocks: Sequence[Block]) -> list[str]:
    """Everything that is wrong with a plan."""
    found = []
    for block in blocks:
        at = plan.offsets[block.key]
        if at < 0 or at % ALIGNMENT or at + aligned(block.bytes) > plan.bytes:
            found.append(f"{block} at {at} of {plan.bytes}")
    for left, right in itertools.combinations(blocks, 2):
        if left.last < right.first or right.last < left.first:
            continue
        a, b = plan.offsets[left.key], plan.offsets[right.key]
        if a + left.bytes <= b or b + right.bytes <= a:
            continue
        allowed = right.key in left.over and a + left.over[right.key] <= b
        allowed |= left.key in right.over and b + right.over[left.key] <= a
        if not allowed:
            found.append(f"{left} at {a} and {right} at {b}")
    return found


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 14))
def test_no_two_live_blocks_overlap(seed: int, count: int) -> None:
    blocks = random_blocks(random.Random(seed), count)
    plan = plan_memory(blocks)
    assert plan.offsets.keys() == {b.key for b in blocks}
    assert not problems_of(plan, blocks)
    assert plan.bytes >= plan.lower_bound


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 5))
def test_the_bound_is_below_every_order_of_placement(seed: int, count: int) -> None:
    blocks = random_blocks(random.Random(seed), count)
    plan = plan_memory(blocks)
    sizes = []
    for order in itertools.permutations(range(count)):
        offsets = _Placer(blocks).first_fit(order)
        sizes.append(max(at + aligned(b.bytes) for at, b in zip(offsets, blocks, strict=True)))
    assert plan.lower_bound <= min(sizes) <= plan.bytes


def test_a_block_may_cover_two_smaller_ones() -> None:
    blocks = [Block(0, 8, 0, 1), Block(1, 8, 0, 1), Block(2, 16, 1, 2, {0: 0, 1: 0})]
    plan = plan_memory(blocks)
    assert (plan.bytes, plan.lower_bound) == (16, 16)


def test_in_place_saves_the_input() -> None:
    apart = [Block(0, 100, 0, 1), Block(1, 100, 1, 2)]
    assert plan_memory(apart).bytes == 200
    over = [apart[0], Block(1, 100, 1, 2, {0: 0})]
    assert plan_memory(over).bytes == 100


def test_an_output_starts_at_or_before_the_input_it_covers() -> None:
    """A larger output over a smaller input that sits at the end of the arena."""
    blocks = [Block(0, 40, 0, 1), Block(1, 8, 0, 2), Block(2, 44, 1, 2, {0: 0})]
    plan = plan_memory(blocks)
    assert not problems_of(plan, blocks)
    assert plan.bytes == plan.lower_bound == 52


def test_nothing_to_place() -> None:
    assert plan_memory([]) == Plan({}, 0, 0)


def test_the_same_blocks_give_the_same_plan() -> None:
    blocks = random_blocks(random.Random(3), 30)
    assert plan_memory(blocks) == plan_memory(blocks)


def test_a_large_network_is_planned_in_time() -> None:
    blocks = random_blocks(random.Random(4), 400)
    started = time.process_time()
    plan = plan_memory(blocks)
    assert time.process_time() - started < 2
    assert not problems_of(plan, blocks)
    assert plan.bytes <= 1.5 * plan.lower_bound

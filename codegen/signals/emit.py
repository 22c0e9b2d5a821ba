"""Write the C of a signal plan."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..library import kernel_files, render
from ..literals import c_array, c_initializer, check_prefix, comment_safe
from ..memory import aligned
from ..ops.base import Init
from ..targets import Target
from .integer import IntegerBiquad, IntegerChannel, IntegerPlan, IntegerResample, IntegerStep

_SECTION_BYTES = 20


@dataclass
class _ChannelText:
    """C of one channel: constants, then lines before and after the rate changes."""

    name: str
    arrays: list[dict[str, Any]] = field(default_factory=list)
    structs: list[dict[str, str]] = field(default_factory=list)
    before: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)


class _Writer:
    """Numbers the state that channels share."""

    def __init__(self, plan: IntegerPlan, prefix: str) -> None:
        self.plan = plan
        self.prefix = prefix
        self.sections = 0
        self.history = 0
        self.newest = 0

    @property
    def resampled(self) -> bool:
        return self.newest > 0

    def channel(self, index: int, channel: IntegerChannel) -> _ChannelText:
        text = _ChannelText(comment_safe(channel.name))
        lines = text.before
        for number, step in enumerate(channel.steps):
            name = f"{self.prefix}_signals_c{index}_{number}"
            if isinstance(step, IntegerResample):
                self._resample(text, step, name)
                lines = text.after
            else:
                lines.append(self._line(text, step, name))
        lines.append(self._result(text, index, channel))
        return text

    def _line(self, text: _ChannelText, step: IntegerStep, name: str) -> str:
        if not isinstance(step, IntegerBiquad):
            return "v = tn_signal_magnitude(v);"
        fields = {key: getattr(step, key) for key in ("b0", "b1", "b2", "c1", "c2", "shift")}
        text.structs.append(_struct("tn_biquad", name, fields))
        self.sections += 1
        return f"v = tn_biquad_step(&{name}, &s->sections[{self.sections - 1}], v);"

    def _resample(self, text: _ChannelText, step: IntegerResample, name: str) -> None:
        taps = np.array(step.phases, np.int32)
        text.arrays.append({"name": f"{name}_taps", "length": taps.size, "lines": c_array(taps)})
        fields: dict[str, Init] = {"taps": f"{name}_taps", "count": taps.shape[1], "shift": step.shift}
        text.structs.append(_struct("tn_resample", name, fields))
        place = f"s->history + {self.history}" if self.history else "s->history"
        text.before.append(f"tn_resample_put(&{name}, {place}, &s->newest[{self.newest}], v);")
        text.after.append(f"v = tn_resample_get(&{name}, {place}, s->newest[{self.newest}], s->phase);")
        self.history += taps.shape[1]
        self.newest += 1

    def _result(self, text: _ChannelText, index: int, channel: IntegerChannel) -> str:
        if self.plan.normalise is not None:
            return f"slices[{index}] = {'(int16_t)' if self.plan.narrow else ''}v;"
        name = f"{self.prefix}_signals_c{index}_scale"
        fields: dict[str, Init] = {"multiplier": channel.multiplier, "shift": channel.shift}
        text.structs.append(_struct("tn_signal_scale", name, fields))
        return f"slices[{index}] = tn_signal_code(&{name}, v);"


def value_type(plan: IntegerPlan) -> str:
    """C type of what a push gives: codes, or values of a window that is normalised when it is complete."""
    return "int8_t" if plan.normalise is None else "int16_t" if plan.narrow else "int32_t"


def state_bytes(plan: IntegerPlan) -> int:
    """Size of the generated state structure."""
    steps = [step for channel in plan.channels for step in channel.steps]
    histories = [len(step.phases[0]) for step in steps if isinstance(step, IntegerResample)]
    sections = sum(isinstance(step, IntegerBiquad) for step in steps)
    return _SECTION_BYTES * sections + 4 * sum(histories) + aligned(2 * len(histories)) + 4


def emit_signals(plan: IntegerPlan, prefix: str, generator: str, target: Target) -> dict[str, str]:
    """Files of the preprocessing, by path inside the generated folder.

    Parameters
    ----------
    plan : IntegerPlan
        Constants.
    prefix : str
        Start of every generated name, as for the model.
    generator : str
        Who writes, for the first line.
    target : Target
        Core.

    Returns
    -------
    dict of str to str
        ``src/<prefix>_signals.{h,c}`` and the kernels.

    Raises
    ------
    OptionError
        When `prefix` is not allowed.
    """
    writer = _Writer(plan, check_prefix(prefix))
    channels = [writer.channel(index, channel) for index, channel in enumerate(plan.channels)]
    up, down = plan.ratio
    normalise = plan.normalise
    values: dict[str, Any] = {
        "p": prefix,
        "P": prefix.upper(),
        "generator": generator,
        "channels": channels,
        "bits": plan.bits,
        "rate": None if plan.rate is None else f"{plan.rate:g}",
        "point": plan.point,
        "up": up,
        "down": down,
        "most": -(-up // down),
        "sections": writer.sections,
        "history": writer.history,
        "newest": writer.newest,
        "resampled": writer.resampled,
        "state_bytes": state_bytes(plan),
        "out": value_type(plan),
        "narrow": plan.narrow,
        "normalise": None
        if normalise is None
        else c_initializer({key: getattr(normalise, key) for key in ("steps", "rest", "least", "shift")}, {}),
    }
    files = {f"src/{prefix}_signals.{ending}": render(f"signals.{ending}.j2", **values) for ending in ("h", "c")}
    return files | {f"src/{name}": text for name, text in kernel_files(["tn_signals.c"], target).items()}


def _struct(ctype: str, name: str, fields: dict[str, Init]) -> dict[str, str]:
    return {"ctype": ctype, "name": name, "value": c_initializer(fields, {})}

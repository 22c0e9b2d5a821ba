"""The five stages of the AASM manual, and how other scorings merge into them."""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import ConfigError

STAGES = ("W", "N1", "N2", "N3", "REM")
W, N1, N2, N3, REM = range(5)
DROPPED = -1
"""Label of an epoch that no class describes: movement, unknown, or scored in two ways."""

EPOCH_SECONDS = 30.0

SLEEP_EDF_STAGES = {
    "Sleep stage W": W,
    "Sleep stage 1": N1,
    "Sleep stage 2": N2,
    "Sleep stage 3": N3,
    "Sleep stage 4": N3,
    "Sleep stage R": REM,
    "Sleep stage N1": N1,
    "Sleep stage N2": N2,
    "Sleep stage N3": N3,
    "Sleep stage ?": DROPPED,
    "Movement time": DROPPED,
}
"""Annotation texts of Sleep-EDF (Rechtschaffen and Kales) and of EDF+ (AASM): 3 and 4 merge to N3."""

DREAMS_CODES = {5: W, 4: REM, 3: N1, 2: N2, 1: N3, 0: N3}
"""Codes of the DREAMS databases: S1 and S0 are the stages 3 and 4 of Rechtschaffen and Kales."""

_NAMES = {
    **{name: index for index, name in enumerate(STAGES)},
    **{"S1": N1, "S2": N2, "S3": N3, "S4": N3, "N4": N3, "R": REM},
    **{"DROP": DROPPED},
}


def stage_index(name: str) -> int:
    """Return the label of a stage name.

    Parameters
    ----------
    name : str
        W, N1, N2, N3, REM; also S1 to S4, R, and "drop" for codes that no stage describes.

    Raises
    ------
    ConfigError
        When the name is none of these.
    """
    try:
        return _NAMES[str(name).upper()]
    except KeyError:
        raise ConfigError(f"stage must be one of {sorted(_NAMES)}, got {name!r}") from None


def code_map(table: Mapping[str, str] | Mapping[int, str]) -> dict[int, int]:
    """Return {code: label} from {code: stage name}, as a recipe writes it.

    Raises
    ------
    ConfigError
        When a code is not an integer or a stage is unknown.
    """
    codes = {}
    for code, name in table.items():
        try:
            codes[int(code)] = stage_index(name)
        except ValueError:
            raise ConfigError(f"hypnogram code must be an integer, got {code!r}") from None
    return codes

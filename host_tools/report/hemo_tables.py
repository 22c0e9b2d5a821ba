"""Tables of a hemodynamic report as text, for the page and for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from . import formats

Content = Mapping[str, Any]
COST_HEAD = ("", "parameters", "active MACs", "instructions", "RAM", "flash", "least gain kept")
PUBLISHED = ("SBP", "MAP", "DBP", "HR")
"""Parameters that have a column of their own beside published figures."""


def error_section(evaluation: Content) -> dict[str, Any]:
    """Mean absolute error of every estimator beside the baselines, and everything about the deployed one."""
    errors, gain = evaluation["errors"], evaluation["gain"]
    deployed = evaluation["device"]["model"] if "device" in evaluation else "model"
    tasks = list(errors["model"])
    return {
        "rows": [
            {"name": title(name, evaluation), "strong": name == deployed,
             "cells": [formats.figure(row[task]["mae"]) if task in row else "–" for task in tasks]}
            for name, row in errors.items() if row
        ],
        "gain": [{"name": title(name, evaluation), "strong": name == deployed,
                  "cells": [formats.percent(_share(row.get(task)), 0) for task in tasks]}
                 for name, row in gain.items() if row],
        "heads": [(task, errors["model"][task]["unit"]) for task in tasks],
        "names": [(task, "") for task in tasks],
        "detail": [_detail(task, errors[deployed][task], errors["model"][task]) for task in errors[deployed]],
        "deployed": title(deployed, evaluation),
    }  # fmt: skip


def title(name: str, evaluation: Content) -> str:
    """Name of an estimator for a reader; `model` is the one that was judged first."""
    return name.replace("model", str(evaluation["model"]), 1) if name.startswith("model") else name


def _share(percent: float | None) -> float | None:
    return None if percent is None else percent / 100


def _detail(task: str, row: Content, floating: Content) -> dict[str, Any]:
    grades = "" if row["bhs"] is None else f"{'within' if row['aami'] else 'beyond'}, {row['bhs']}, {row['ieee']}"
    return {
        "task": task,
        "cells": [
            row["unit"],
            formats.figure(row["mae"]),
            formats.figure(floating["mae"]),
            formats.signed(row["me"]),
            formats.figure(row["sd"]),
            formats.figure(row["rmse"]),
            formats.percent(_share(row["mape"])),
            formats.decimals(row["r2"], 2),
            _within(row),
            grades,
        ],
    }


def _within(row: Content) -> str:
    """Shares within 5, 10 and 15 units; they mean something for pressures and rates only."""
    if row["unit"] not in ("mmHg", "bpm"):
        return ""
    return " / ".join(formats.percent(share, 0).removesuffix(" %") for share in row["within"].values())


def kind_section(evaluation: Content) -> dict[str, Any]:
    """Mean absolute error by kind of person and of pressure."""
    found = (evaluation.get("device") or evaluation)["strata"]
    tasks = list(evaluation["errors"]["model"])
    return {
        "heads": tasks,
        "rows": [
            {"name": name, "windows": row["windows"], "subjects": row["subjects"],
             "cells": [formats.figure(row[task]["mae"]) if task in row else "–" for task in tasks]}
            for name, row in found.items()
        ],
    }  # fmt: skip


def published_rows(evaluation: Content) -> dict[str, Any]:
    """The deployed network, then published figures; each with its data and its protocol."""
    errors = evaluation["errors"]
    deployed = evaluation["device"]["model"] if "device" in evaluation else "model"
    own = {
        "model": f"LSM2oE, {title(deployed, evaluation)}", "data": evaluation["data"]["name"], "own": True,
        "protocol": evaluation["protocol"]["label"], "source": "this run",
        "mae": {task: row["mae"] for task, row in errors[deployed].items()},
    }  # fmt: skip
    rows = [own, *({**row, "own": False} for row in evaluation["published"])]
    return {"heads": PUBLISHED, "rows": [{**row, **_published(row["mae"])} for row in rows]}


def _published(errors: Mapping[str, float]) -> dict[str, Any]:
    others = [f"{task} {formats.figure(value)}" for task, value in errors.items() if task not in PUBLISHED]
    return {"cells": [formats.figure(errors[task]) if task in errors else "" for task in PUBLISHED],
            "others": ", ".join(others)}  # fmt: skip


def compression_section(table: Content) -> dict[str, Any]:
    """The compression table: what each step costs, what it leaves of the teacher's gain, and its errors."""
    rows = table["rows"]
    tasks = list(rows[0]["mae"])
    boards = [row["cost"]["board"] for row in rows if row["cost"]]
    return {
        "head": COST_HEAD,
        "board": boards[0] if boards else None,
        "rows": [cost_cells(row, table["deployed"]) for row in rows],
        "tasks": tasks,
        "errors": [_error_cells(row, tasks, table["deployed"]) for row in rows],
        "notes": compression_notes(table),
    }


def cost_cells(row: Content, deployed: str | None) -> dict[str, Any]:
    """Cells of a row as in `COST_HEAD`; a float network has no cost on a board."""
    cost = row["cost"] or {}
    return {
        "name": row["name"],
        "title": row["title"],
        "strong": row["name"] == deployed,
        "cells": [
            formats.count(row["parameters"]),
            formats.mega(row["active_macs"]),
            formats.mega(cost.get("instructions")),
            formats.kilobytes(cost.get("ram_bytes")),
            formats.kilobytes(cost.get("flash_bytes")),
            _least(row["gain_kept"]),
        ],
    }


def _least(kept: Mapping[str, float | None] | None) -> str:
    known = {task: share for task, share in (kept or {}).items() if share is not None}
    if not known:
        return "–"
    task = min(known, key=lambda name: known[name])
    return f"{formats.percent(known[task], 0)} ({task})"


def _error_cells(row: Content, tasks: Sequence[str], deployed: str | None) -> dict[str, Any]:
    kept = row["gain_kept"] or {}
    return {
        "title": row["title"],
        "strong": row["name"] == deployed,
        "cells": [(formats.figure(row["mae"][task]), _percent_or_nothing(kept.get(task))) for task in tasks],
    }


def _percent_or_nothing(share: float | None) -> str:
    return "" if share is None else formats.percent(share, 0)


def compression_notes(table: Content) -> list[str]:
    """Sentences that belong under the table: whose errors are whose, and why a figure is missing."""
    found = ["errors of int8 rows are those of their integers on the host, which a board gives byte for byte; "
             "errors of float rows are those of the network as trained"]  # fmt: skip
    reasons: dict[str, list[str]] = {}
    for row in table["rows"]:
        if row["why_no_cost"]:
            reasons.setdefault(row["why_no_cost"], []).append(row["name"])
    found += [f"{', '.join(names)}: no cost on a board, {why}" for why, names in reasons.items()]
    found += [f"{row['title']}: not made, {row['why']}" for row in table["missing"]]
    none = [task for task, gain in table["rows"][0]["gain"].items() if gain is not None and gain <= 0]
    if none:
        found.append(f"the teacher has no gain over the mean in {', '.join(none)}, of which nothing can be kept")
    return found

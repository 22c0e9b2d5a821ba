"""Optuna's part: a study in a file that survives being killed, and choices that the seed alone decides.

Every trial has a place, from 0, and a sampler of its own, seeded by the search's seed and that place. A trial that was
killed is asked for again at its place, among the same finished trials: done one after the other, an interrupted search
ends as one that was not. Of several at once it counts who finishes first.
"""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import HostToolsError
from ..pipeline.folder import write_json
from .space import Candidate, first_trials, suggest

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

    from ..recipe_search import SearchTable

JOURNAL, TRIALS = "journal.log", "trials"
TRAINED, STOPPED, OVER, FAILED = "trained", "stopped", "over budget", "failed"
_RANDOM_FIRST = 8
"""Trials before the sampler learns from them."""
_JUDGED_FIRST = 4
"""Trials trained to the end before one can lag behind."""

Report = Callable[[int, float], None]
"""Takes number of pass and accuracy; raises where the trial is to end."""


class SearchError(HostToolsError):
    """A search that cannot be done, or that found nothing within the budgets."""


@dataclass(frozen=True)
class Verdict:
    """What one trial came to.

    Attributes
    ----------
    outcome : str
        "trained", "stopped" (its accuracy lagged behind), "over budget" or "failed".
    reason : str
        Why, where it was not trained to the end.
    cost : dict
        :meth:`.cost.Cost.to_dict`; empty where it is not known.
    excess : dict
        Share by which each budget is exceeded; 0 and less where it is kept.
    accuracy : float or None
        Of int8 on the validation windows; None where it was not trained to the end.
    facts : dict
        Further figures, JSON values.
    """

    outcome: str
    reason: str = ""
    cost: dict[str, Any] = field(default_factory=dict)
    excess: dict[str, float] = field(default_factory=dict)
    accuracy: float | None = None
    facts: dict[str, Any] = field(default_factory=dict)


Judge = Callable[[Candidate, Report, int], Verdict]
"""Trains a candidate; takes it, where to report passes, and its place."""


class LaggingError(Exception):
    """Raised by a report: this trial is not worth more time."""


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep Optuna's log and its words about experimental parts to itself.

    Raises
    ------
    SearchError
        When Optuna is not installed.
    """
    try:
        import optuna
    except ImportError:
        raise SearchError("thumbnet search needs the package optuna: pip install 'thumbnet[search]'") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


def open_study(folder: Path, table: SearchTable) -> Study:
    """Open the study of a search, or begin it."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    pruner: optuna.pruners.BasePruner = optuna.pruners.NopPruner()
    if table.pruner == "median":
        pruner = optuna.pruners.MedianPruner(n_startup_trials=_JUDGED_FIRST, n_warmup_steps=1)
    return optuna.create_study(
        study_name="search",
        storage=JournalStorage(JournalFileBackend(str(folder / JOURNAL))),
        sampler=_sampler(table, 0, 0),
        pruner=pruner,
        direction="maximize",
        load_if_exists=True,
    )


def prepare(folder: Path, table: SearchTable, own: Candidate) -> int:
    """Line up the trials that are not done; those that were under way when the search ended are done again.

    Nobody else may be working in the folder. Which come first is told by :func:`.space.first_trials`.

    Returns
    -------
    int
        How many wait.
    """
    from optuna.trial import TrialState

    folder.mkdir(parents=True, exist_ok=True)
    _mend(folder / JOURNAL)
    study = open_study(folder, table)
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
    # One that waits cannot be called off before it was taken; all line up again in the order of their places.
    for _ in study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
        study.tell(study.ask(), state=TrialState.FAIL)
    done = {trial.user_attrs["place"] for trial in _finished(study)}
    waiting = [place for place in range(table.trials) if place not in done]
    first = dict(enumerate(first_trials(own, table)))
    for place in waiting:
        study.enqueue_trial(first.get(place, {}), user_attrs={"place": place})
    return len(waiting)


def run_trials(folder: Path, table: SearchTable, worker: int, judge: Judge) -> None:
    """Take one waiting trial after the other until none is left.

    Parameters
    ----------
    folder : pathlib.Path
        Of the search.
    table : SearchTable
        What to look among.
    worker : int
        Number of this process, from 0.
    judge : callable
        What a candidate is put through.
    """
    study = open_study(folder, table)
    while (trial := _take(study, table, worker)) is not None:
        candidate = suggest(trial, table)
        verdict = _judged(trial, candidate, judge)
        _note(folder, study, trial, candidate, verdict)


def _take(study: Study, table: SearchTable, worker: int) -> Trial | None:
    from optuna.trial import TrialState

    waiting = study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
    if not waiting:
        return None
    # Two workers that ask at once must not be given the same answer.
    study.sampler = _sampler(table, waiting[0].user_attrs["place"], worker)
    trial = study.ask()
    if "place" not in trial.user_attrs:
        # Another worker was faster: Optuna made up one more.
        study.tell(trial, state=TrialState.FAIL)
        return None
    return trial


def _judged(trial: Trial, candidate: Candidate, judge: Judge) -> Verdict:
    def report(step: int, accuracy: float) -> None:
        trial.report(accuracy, step)
        if trial.should_prune():
            raise LaggingError(f"accuracy {accuracy:.1%} after pass {step + 1} lags behind")

    try:
        return judge(candidate, report, trial.user_attrs["place"])
    except LaggingError as error:
        return Verdict(STOPPED, str(error))


def _note(folder: Path, study: Study, trial: Trial, candidate: Candidate, verdict: Verdict) -> None:
    """Keep the verdict, in the study and as a file."""
    from optuna.trial import TrialState

    place = trial.user_attrs["place"]
    record = {
        "trial": place,
        "network": candidate.to_dict(),
        "outcome": verdict.outcome,
        "reason": verdict.reason,
        "cost": verdict.cost or None,
        "accuracy": verdict.accuracy,
        **verdict.facts,
    }
    (folder / TRIALS).mkdir(exist_ok=True)
    write_json(folder / TRIALS / f"{place:04d}.json", record)
    for budget, share in verdict.excess.items():
        trial.set_constraint(budget, share)
    if verdict.outcome == TRAINED:
        study.tell(trial, verdict.accuracy)
    else:
        study.tell(trial, state=TrialState.PRUNED)


def records(folder: Path) -> list[dict[str, Any]]:
    """Return what the finished trials came to, by place."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted((folder / TRIALS).glob("[0-9]*.json"))]


def _finished(study: Study) -> list[FrozenTrial]:
    from optuna.trial import TrialState

    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))


def _sampler(table: SearchTable, place: int, worker: int) -> Any:
    """Tree-structured Parzen estimator over the whole space, for one trial; it knows budgets as constraints."""
    import optuna

    seed = int(np.random.SeedSequence((table.seed, place, worker)).generate_state(1)[0])
    return optuna.samplers.TPESampler(n_startup_trials=_RANDOM_FIRST, multivariate=True, seed=seed)


def _mend(journal: Path) -> None:
    """Remove what a killed process left: a lock, and a line that it was writing."""
    for leftover in journal.parent.glob(f"{journal.name}.*"):
        leftover.unlink(missing_ok=True)
    if journal.is_file():
        content = journal.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            journal.write_bytes(content[:whole])

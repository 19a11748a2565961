"""`recsys tune`: an Optuna study over hyperparameters of ranker and models, judged on moments before the test.

    trial   0        1   2   3   4      5        6   7   8   9      10       …
            config's ranker only,       models   ranker only,       models
            own      models of the      too      models of the      too
            values   best so far                 best so far

A trial's values follow from the seed and the finished trials before it, so a killed study goes on as if it had not
been: the trial that was running is marked as failed and proposed once more.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from filelock import FileLock, Timeout
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from recsys import pipeline
from recsys.config import Config, as_dict
from recsys.errors import InputError
from recsys.progress import note, step
from recsys.registry.register import quiet
from recsys.registry.tracking import digest_of
from recsys.registry.tuning_runs import TuningRun, tuning_run
from recsys.search_space import Dimension, read_space, with_values
from recsys.stages import code_digest, remove, sweep
from recsys.tuning_result import Outcome, Trial, outcome, write_tuned
from recsys.validation_moments import Judged, Validation, judge_recipe, validation_moments

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)  # a pruned trial is one whose values were refused
RANDOM_TRIALS = 8  # before the sampler trusts what it has seen
FACTS = "trial"  # what a trial was and found, as one attribute


@dataclass(frozen=True)
class Search:
    """All that one call of the search works with; `clock` gives seconds, `ends` when the time is spent."""

    config: Config
    dimensions: list[Dimension]
    validations: list[Validation]
    study: optuna.Study
    run: TuningRun
    clock: Callable[[], float]
    ends: float


def tune(
    config: Config, now: datetime, out: Path | None = None, clock: Callable[[], float] = time.monotonic
) -> Outcome:
    """Search for tune.minutes, or on to tune.trials; write `out` (tuned.yaml in run.reports) and tell MLflow.

    InputError where the space, the data or a store cannot be used, or another search works in the same run.store.
    """
    ends = clock() + config.tune.minutes * 60
    dimensions = read_space(config)
    sweep(pipeline.store(config), config.run.keep_days, now.timestamp())
    with _alone(pipeline.store(config)):
        with step("ingest orders"):
            ingested = pipeline.ingest_orders(config, now)
        with step("moments before the test"):
            validations = validation_moments(config, ingested)
        name = study_name(config, validations)
        with (
            quiet(),
            _opened(pipeline.store(config), name) as study,
            tuning_run(config.registry, config.title, name, _described(config, validations)) as run,
        ):
            found = _search(Search(config, dimensions, validations, study, run, clock, ends))
            file = write_tuned(found, out or Path(config.run.reports) / "tuned.yaml")
            run.close(found.metrics(), file)
    return found


def study_name(config: Config, validations: list[Validation]) -> str:
    """One study per data before the test, split, recipe, metric, space, seed and code."""
    primary = {k: v for k, v in as_dict(config.evaluation).items() if k.startswith("primary_")}
    same = [
        [moment.matrices.name for moment in validations], pipeline.recipe(config), primary, config.tune.space,
        config.tune.seed, config.tune.models_every, code_digest(),
    ]  # fmt: skip
    return f"tune-{digest_of(same)}"


def _described(config: Config, validations: list[Validation]) -> dict[str, Any]:
    """Parameters of the parent run."""
    return {
        "moments": ", ".join(moment.name for moment in validations),
        "evaluation": as_dict(config.evaluation),
        "tune": {k: v for k, v in as_dict(config.tune).items() if k not in ("minutes", "trials")},
    }


@contextmanager
def _alone(store: Path) -> Iterator[None]:
    """One search at a time in a store: another would take running trials for killed ones."""
    try:
        store.mkdir(parents=True, exist_ok=True)
        with FileLock(store / "tune.lock", timeout=0):
            yield
    except Timeout:
        raise InputError(f"another search works in run.store {store}; wait for it, or set another run.store") from None
    except OSError as error:
        raise InputError(f"cannot write to run.store {store}: {error.strerror}; free it or set run.store") from None


@contextmanager
def _opened(store: Path, name: str) -> Iterator[optuna.Study]:
    """The study, fresh or as an earlier call left it."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    file = store / "tune.db"
    try:
        storage = optuna.storages.RDBStorage(f"sqlite:///{file.absolute()}")
        study = optuna.create_study(storage=storage, study_name=name, direction="maximize", load_if_exists=True)
    except Exception as error:
        said = " ".join(str(error).split())[:200]
        raise InputError(
            f"Optuna {optuna.__version__} cannot use {file}: {said}; move it away to start anew"
        ) from error
    try:
        yield study
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _search(search: Search) -> Outcome:
    _fail_killed_trials(search.study)
    search.run.log(_trials(search.study))
    judged: dict[int, Judged] = {}
    while (n := len(_finished(search.study))) < search.config.tune.trials and _in_time(search, n):
        judged = _try(search, n, judged)
    return _conclude(search, judged)


def _fail_killed_trials(study: optuna.Study) -> None:
    """Trials of a killed call: what ran, and what was only proposed."""
    while study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
        study.tell(study.ask(), state=TrialState.FAIL)
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)


def _finished(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=FINISHED)


def _trials(study: optuna.Study) -> list[Trial]:
    """Finished trials in their order, numbered from 0."""
    facts = [t.user_attrs[FACTS] for t in _finished(study)]
    return [Trial(n, f["options"], f.get("by_moment", []), f["seconds"], f["reason"]) for n, f in enumerate(facts)]


def _in_time(search: Search, n: int) -> bool:
    """Whether trial `n` would probably end in time: it takes as long as the longest of its kind before it."""
    if n == 0:
        return True
    facts = [t.user_attrs[FACTS] for t in _finished(search.study)]
    known = "seconds" if _learns(search, n) else "ranker_seconds"  # of trial 0, which learned all
    alike = [f["seconds"] for at, f in enumerate(facts) if at and _learns(search, at) == _learns(search, n)]
    return bool(search.clock() + max(alike or [facts[0][known]]) <= search.ends)


def _learns(search: Search, n: int) -> bool:
    return n % search.config.tune.models_every == 0


def _try(search: Search, n: int, judged: dict[int, Judged]) -> dict[int, Judged]:
    """One trial: propose, judge, tell Optuna and MLflow, drop stages that nobody needs; returns what is kept."""
    began = search.clock()
    trial = _propose(search, n)
    values = {d.name: d.own if n == 0 else d.value(trial.params[d.name]) for d in search.dimensions}
    fresh, reason = _judge(search, values, n)
    facts = {"options": values, "seconds": round(search.clock() - began, 2), "reason": reason}
    if fresh is None:
        trial.set_user_attr(FACTS, facts)
        search.study.tell(trial, state=TrialState.PRUNED)
    else:
        trial.set_user_attr(FACTS, facts | _facts(fresh))
        search.study.tell(trial, fresh.value())
    done = _trials(search.study)
    search.run.log(done)
    note(_told(done))
    _forget_stages(search)
    return judged | ({n: fresh} if fresh and n in (0, _best(search.study)) else {})


def _facts(judged: Judged) -> dict[str, Any]:
    return {
        "by_moment": judged.by_moment(),
        "ranker_seconds": judged.ranker_seconds(),
        "stages": [f"{p.parent.name}/{p.name}" for p in judged.stages],
    }


def _judge(search: Search, values: dict[str, Any], n: int) -> tuple[Judged | None, str]:
    """What the values find, or why they were refused: not the config's own, and not because the machine failed."""
    try:
        return judge_recipe(with_values(search.config, values), search.validations), ""
    except (OSError, MemoryError):
        raise
    except Exception as error:  # a library's own refusal of an odd combination must not end the search
        if n == 0:
            raise
        return None, f"{type(error).__name__}: {error}"


def _propose(search: Search, n: int) -> optuna.Trial:
    """Trial 0 takes the config's own values; most others the models of the best trial so far, see the module."""
    study, done = search.study, _finished(search.study)
    seed = int(np.random.SeedSequence([search.config.tune.seed, n]).generate_state(1)[0])
    study.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=RANDOM_TRIALS)
    fixed: dict[str, Any] = {}
    if n == 0:
        fixed = {d.name: d.found() for d in search.dimensions}
    elif not _learns(search, n) and any(not d.learns for d in search.dimensions):
        best = done[_best(study)].params
        fixed = {d.name: best[d.name] for d in search.dimensions if d.learns}
    if fixed:
        study.enqueue_trial(fixed)
    # asked by name: the order in which a file names the space must not change what is tried
    return study.ask({d.name: distribution(d) for d in sorted(search.dimensions, key=lambda d: d.name)})


def distribution(dimension: Dimension) -> BaseDistribution:
    """The dimension in Optuna's terms."""
    if dimension.choices:
        return CategoricalDistribution(dimension.choices)
    kind = IntDistribution if dimension.kind is int else FloatDistribution
    return kind(dimension.low, dimension.high, log=dimension.log)  # type: ignore[arg-type]


def _best(study: optuna.Study) -> int:
    """Which finished trial found most; the first of equals."""
    values = [-np.inf if t.value is None or t.state is not TrialState.COMPLETE else t.value for t in _finished(study)]
    return int(np.argmax(values))


def _forget_stages(search: Search) -> None:
    """Only the stages of the first and of the best trial stay; models and rows of all would fill the disk."""
    done = _finished(search.study)
    stages = [t.user_attrs[FACTS].get("stages", []) for t in done]
    kept = {*stages[0], *stages[_best(search.study)]}
    for name in {name for names in stages for name in names} - kept:
        folder = pipeline.store(search.config) / name
        if folder.is_dir():
            remove(folder)


def _told(done: list[Trial]) -> str:
    last = done[-1]
    found = f"{last.value:.4f}" if last.by_moment else f"refused: {last.reason[:60]}"
    best = max(t.value for t in done if t.by_moment)
    return f"trial {last.number:<4} {found}   best {best:.4f} {last.seconds:15.1f} s"


def _conclude(search: Search, judged: dict[int, Judged]) -> Outcome:
    """Compare the best trial with the config's own; stages that a sweep took are built again."""
    done, best = _trials(search.study), _best(search.study)
    for n in {0, best} - set(judged):
        with step(f"trial {n} once more"):
            judged = judged | {n: judge_recipe(with_values(search.config, done[n].options), search.validations)}
    names = [moment.name for moment in search.validations]
    return outcome(search.config, names, done, done[best], judged[0], judged[best])

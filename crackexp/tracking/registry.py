"""The model registry, in which a model becomes champion only where tests show it to be better than the champion."""

import logging
from collections.abc import Sequence

import mlflow
from mlflow.entities import Run

from crackexp.comparison.promotion import Candidate, IncomparableError, best_of, decide_promotion
from crackexp.data.classes.decisions import Classes
from crackexp.metrics.metric import MeanMetric
from crackexp.tracking.logger import Logger
from crackexp.tracking.models import read_facts, read_model
from crackexp.tracking.sweeps import SweepStore
from crackexp.utils.errors import DataError
from crackexp.utils.signals import uninterrupted

CHAMPION = "champion"
"""The alias of the champion, whose model is models:/NAME@champion."""

VERDICT_TAG = "registry.verdict"
"""The tag of a version, its run and its sweep, which says whether the model became champion and why."""

_log = logging.getLogger(__name__)


def register_run(logger: Logger, name: str, metric: MeanMetric, level: float) -> str:
    """Enters the open run of a logger into the registry; see `Registry.enter`.

    The run of a trial is not entered, since its sweep enters the best one.

    Args:
        logger: The logger of the run, which has a store.
        name: The name of the registered model.
        metric: The metric by which the model and the champion are compared.
        level: The confidence of the comparison, in (0, 1).

    Returns:
        A sentence that says whether the model became champion and why.
    """
    store, run_id = SweepStore(logger), str(logger.run_id)
    if "sweep.settings" in store.client.get_run(run_id).data.tags:
        return f"The sweep of this run registers the best of its trials as {name} when it ends."
    return Registry(store, name).enter([run_id], metric, level)


class Registry:
    """The versions of one registered model, one of which may be its champion.

    Args:
        store: The store that holds the runs.
        name: The name of the registered model.
    """

    def __init__(self, store: SweepStore, name: str) -> None:
        self.store = store
        self.client = store.client
        self.name = name

    def enter(self, run_ids: Sequence[str], metric: MeanMetric, level: float) -> str:
        """Registers the model of a run, or the best of several, as champion where it beats the one that is.

        Where there is no champion, the model becomes champion too. Where the two cannot be compared, it does not. See
        `decide_promotion`. A run that already has a version gets no second one. Processes that share a database file
        take turns. Where a server keeps the store, the models are compared again if the champion changed meanwhile.

        Args:
            run_ids: The ids of the runs, which were tested.
            metric: The metric by which the models are compared.
            level: The confidence in (0, 1).

        Returns:
            A sentence that says whether the model became champion and why. It is also a tag of the version and its run.
        """
        candidates = [candidate for run_id in run_ids if (candidate := self._candidate(run_id))]
        if not candidates:
            return f"Nothing is registered as {self.name}: no run has finished with its model logged."
        try:
            best = best_of(candidates, metric, level)
        except IncomparableError as error:
            return f"Nothing is registered as {self.name}: the best of the trials cannot be told, for {error}."
        with self.store.lock(".registry"):
            version = self._version(best)
            verdict = f"{self.name} version {version}"
            if len(run_ids) > 1:
                missing = len(run_ids) - len(candidates)
                verdict += f" ({best.trial.name}, the best of {len(candidates)} trials"
                verdict += f"; {missing} more logged no model)" if missing else ")"
            while True:
                champion = self._champion()
                if version == champion:
                    return f"{verdict} is {CHAMPION} already."
                wins, reason = self._judge(best, champion, metric, level, len(candidates))
                if self._champion() == champion:
                    break
            verdict += f" {'becomes' if wins else 'does not become'} {CHAMPION}: {reason}."
            with uninterrupted():
                self.client.set_model_version_tag(self.name, version, VERDICT_TAG, verdict)
                self.client.set_tag(best.run_id, VERDICT_TAG, verdict)
                if wins:
                    self.client.set_registered_model_alias(self.name, CHAMPION, version)
        return verdict

    def _champion(self) -> str | None:
        """Returns the version that has the alias of the champion, or None."""
        try:
            version = self.client.get_registered_model(self.name).aliases.get(CHAMPION)
        except mlflow.MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None
        return None if version is None else str(version)

    def _version(self, candidate: Candidate) -> str:
        """Returns the version of the candidate's run: the champion of several, or a new one where the run has none."""
        versions_of_run = self.client.search_model_versions(f"name = '{self.name}' and run_id = '{candidate.run_id}'")
        versions = [str(version.version) for version in versions_of_run]
        if not versions:
            with uninterrupted():
                versions = [str(mlflow.register_model(candidate.uri, self.name).version)]
        champion = self._champion()
        return champion if champion in versions else versions[0]

    def _judge(
        self, candidate: Candidate, champion: str | None, metric: MeanMetric, level: float, chosen_from: int
    ) -> tuple[bool, str]:
        """Returns whether the candidate becomes champion, and the reason."""
        if champion is None:
            return True, "there was none"
        try:
            return decide_promotion(
                candidate, self._holder(champion), f"version {champion}", metric, level, chosen_from
            )
        except IncomparableError as error:
            return False, str(error)

    def _holder(self, version: str) -> Candidate:
        """Returns the champion.

        Raises:
            IncomparableError: The run of the champion, or a part that the comparison needs, is missing or damaged.
        """
        run_id = self.client.get_model_version(self.name, version).run_id
        try:
            run = self.client.get_run(run_id) if run_id else None
            if run and run.info.lifecycle_stage == "active":
                return self._read(run, f"models:/{self.name}/{version}")
        except (mlflow.MlflowException, DataError):
            pass
        raise IncomparableError(
            f"the run of version {version} or a part of it is gone or damaged, and with it what to compare with; give "
            f"the alias {CHAMPION} to a version by hand, or take it away so that the next model gets it"
        )

    def _candidate(self, run_id: str) -> Candidate | None:
        """Returns the model of a run, or None where it logged none, or where a part of it is missing or damaged."""
        run = self.client.get_run(run_id)
        result = self.store.result(run)
        try:
            return self._read(run, result.model_uri) if result and result.model_uri else None
        except mlflow.MlflowException:
            return None
        except DataError as error:
            _log.warning("A run is not considered for %s: %s", self.name, error)
            return None

    def _read(self, run: Run, uri: str) -> Candidate:
        trial, split = self.store.trial(run), self.store.split(run)
        facts = read_facts(read_model(uri, uri), uri)
        params = run.data.params
        keys = [key for key in ("split.ratio", "split.seed") if params.get(key, "None") != "None"]
        typed = [f"{key}={params[key]}".replace(" ", "") for key in keys] or ["its own split"]
        return Candidate(
            run_id=self.store.original(run),
            trial=trial,
            uri=uri,
            classes=Classes(tuple(facts.class_names), facts.positives),
            seen=frozenset(split["digest"][split["split"] != "test"]),
            recipe=f"the dataset {params.get('dataset.name')} with {' '.join(typed)}",
        )

"""The gate of the model registry: a model becomes champion only where it is shown better than the one that is."""

import logging
from collections.abc import Sequence

import mlflow
from mlflow.entities import Run

from crackexp.comparison.promotion import Contender, IncomparableError, best_of, contest
from crackexp.data.classes.decisions import Classes
from crackexp.metrics.metric import MeanMetric
from crackexp.tracking.logger import Logger
from crackexp.tracking.models import read_facts, read_model
from crackexp.tracking.sweeps import SweepStore
from crackexp.utils.errors import DataError
from crackexp.utils.signals import uninterrupted

CHAMPION = "champion"
"""The alias: models:/NAME@champion."""

VERDICT_TAG = "registry.verdict"
"""Of a version, its run and its sweep: what came of it and why."""

_log = logging.getLogger(__name__)


def register_run(logger: Logger, name: str, metric: MeanMetric, level: float) -> str:
    """Enters the open run of a logger into the registry; see `Registry.enter`. That of a cell is left to its sweep.

    Args:
        logger: The logger of the run, which has a store.
        name: The name of the registered model.
        metric: The metric by which the model and the champion are compared.
        level: The confidence of the comparison, in (0, 1).

    Returns:
        What came of it and why, in a sentence.
    """
    store, run_id = SweepStore(logger), str(logger.run_id)
    if "sweep.settings" in store.client.get_run(run_id).data.tags:
        return f"The sweep of this run registers the best of its cells as {name} when it ends."
    return Registry(store, name).enter([run_id], metric, level)


class Registry:
    """The versions of one registered model, one of which may be its champion.

    Args:
        store: holds the runs.
        name: of the registered model.
    """

    def __init__(self, store: SweepStore, name: str) -> None:
        self.store = store
        self.client = store.client
        self.name = name

    def enter(self, run_ids: Sequence[str], metric: MeanMetric, level: float) -> str:
        """Registers the model of a run, or the best of several, as champion where it beats the one that is.

        Where there is none it becomes champion as well; where no comparison is possible it does not. See `contest`.
        A run that has a version gets no second one. Processes that share a database file take turns; where a server
        keeps it, the models are judged again if the champion changed meanwhile.

        Args:
            run_ids: of runs that were tested.
            metric: that models are compared by.
            level: confidence in (0, 1).

        Returns:
            What came of it and why, in a sentence, which also stands as a tag on the version and on its run.
        """
        contenders = [one for run_id in run_ids if (one := self._contender(run_id))]
        if not contenders:
            return f"Nothing is registered as {self.name}: no run has finished with its model logged."
        try:
            best = best_of(contenders, metric, level)
        except IncomparableError as error:
            return f"Nothing is registered as {self.name}: the best of the cells cannot be told, for {error}."
        with self.store.lock(".registry"):
            version = self._version(best)
            told = f"{self.name} version {version}"
            if len(run_ids) > 1:
                missing = len(run_ids) - len(contenders)
                told += f" ({best.cell.name}, the best of {len(contenders)} cells"
                told += f"; {missing} more logged no model)" if missing else ")"
            while True:
                champion = self._champion()
                if version == champion:
                    return f"{told} is {CHAMPION} already."
                beats, reason = self._judge(best, champion, metric, level, len(contenders))
                if self._champion() == champion:
                    break
            told += f" {'becomes' if beats else 'does not become'} {CHAMPION}: {reason}."
            with uninterrupted():
                self.client.set_model_version_tag(self.name, version, VERDICT_TAG, told)
                self.client.set_tag(best.run_id, VERDICT_TAG, told)
                if beats:
                    self.client.set_registered_model_alias(self.name, CHAMPION, version)
        return told

    def _champion(self) -> str | None:
        """Returns the version that holds the alias."""
        try:
            version = self.client.get_registered_model(self.name).aliases.get(CHAMPION)
        except mlflow.MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None
        return None if version is None else str(version)

    def _version(self, one: Contender) -> str:
        """Returns the version of a run, of several the champion; registers its model where it has none."""
        found = self.client.search_model_versions(f"name = '{self.name}' and run_id = '{one.run_id}'")
        versions = [str(version.version) for version in found]
        if not versions:
            with uninterrupted():
                versions = [str(mlflow.register_model(one.uri, self.name).version)]
        champion = self._champion()
        return champion if champion in versions else versions[0]

    def _judge(
        self, one: Contender, champion: str | None, metric: MeanMetric, level: float, chosen_from: int
    ) -> tuple[bool, str]:
        """Returns whether `one` is to be champion, and why."""
        if champion is None:
            return True, "there was none"
        try:
            return contest(one, self._holder(champion), f"version {champion}", metric, level, chosen_from)
        except IncomparableError as error:
            return False, str(error)

    def _holder(self, version: str) -> Contender:
        """Returns the champion.

        Raises:
            IncomparableError: what is left of it is too little to compare it.
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

    def _contender(self, run_id: str) -> Contender | None:
        """Returns the model of a run; None where it logged none, or where a part of it is gone or damaged."""
        run = self.client.get_run(run_id)
        result = self.store.result(run)
        try:
            return self._read(run, result.model_uri) if result and result.model_uri else None
        except mlflow.MlflowException:
            return None
        except DataError as error:
            _log.warning("A run is not considered for %s: %s", self.name, error)
            return None

    def _read(self, run: Run, uri: str) -> Contender:
        cell, split = self.store.cell(run), self.store.split(run)
        facts = read_facts(read_model(uri, uri), uri)
        params = run.data.params
        keys = [key for key in ("split.ratio", "split.seed") if params.get(key, "None") != "None"]
        typed = [f"{key}={params[key]}".replace(" ", "") for key in keys] or ["its own split"]
        return Contender(
            run_id=self.store.original(run),
            cell=cell,
            uri=uri,
            classes=Classes(tuple(facts.class_names), facts.positives),
            seen=frozenset(split["digest"][split["split"] != "test"]),
            recipe=f"the dataset {params.get('dataset.name')} with {' '.join(typed)}",
        )

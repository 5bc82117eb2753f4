"""Judges a logged model on a dataset: ``python -m crackexp.evaluate run=RUN dataset=NAME``."""

from pathlib import Path

from omegaconf import DictConfig

from crackexp.budget import TimeBudget
from crackexp.cli import run
from crackexp.config import check, instantiate
from crackexp.schema import EvaluateRoot


def evaluate(composed: DictConfig) -> dict[str, float]:
    """Judges one model on every image of one dataset, in a child run of the model's run.

    Args:
        composed: what Hydra composed from ``conf/evaluate.yaml``.

    Returns:
        The metrics by name, as in ``result.json`` of the run's folder.

    Raises:
        UserError: a mistake in the config, the dataset or the name of the model.
    """
    budget = TimeBudget()
    cfg = check(composed, EvaluateRoot)

    with budget.section("data"):
        from crackexp import console

        console.print_config(cfg)
        dataset = instantiate(cfg.dataset)
        index = dataset.prepare()

    with budget.section("imports"):
        from crackexp import report
        from crackexp.data.pipeline import image_batches
        from crackexp.evaluation.metrics import evaluate_predictions
        from crackexp.tracking.models import load
        from crackexp.training.explainer import Explainer
        from crackexp.training.inference import computing
        from crackexp.training.programs import keep_programs, set_precision

        logger = instantiate(cfg.tracking)
        output = Path(cfg.paths.output)
        report.write_config(output, cfg)

    with budget.section("model"):
        budget.watch_compilation()
        set_precision("float32")
        keep_programs(Path(cfg.paths.cache))
        model = load(cfg.run, cfg.tracking.get("uri"), "run")
        index = index.relabel(model.class_names, model.positive)

    with logger.run(f"evaluate-{dataset.name}", tags={}, parent=model.run_id):
        report.log_run(logger, cfg)
        report.log_dataset(logger, dataset.name, index, "evaluation")
        with budget.section("evaluate"):
            network = Explainer(computing(model.classifier), model.positive_index, batch_size=cfg.batch_size)
            batches = image_batches(index, model.image_size, network.batch_size)
            probabilities, _ = network.predict(batches, len(index), f"Predicting {dataset.name}")
            scores = evaluate_predictions(
                index.labels,
                probabilities,
                index.positive_index,
                cfg.seed,
                cfg.evaluation.level,
                cfg.evaluation.resamples,
            )
        with budget.section("logging"):
            report.log_predictions(
                logger, index, probabilities, scores, cfg.evaluation, model.image_size, network.explain
            )
        metrics = report.test_metrics(scores)
        report.write_result(output, logger, None, metrics, budget.summary())

    console.print_scores(f"{dataset.name}, {len(index)} images", scores, cfg.evaluation.level)
    console.print_budget(budget.summary())
    console.print_where(logger, output, None)
    return metrics


def main(composed: DictConfig) -> float | None:
    """Judges the model, and returns its accuracy to a sweeper."""
    return evaluate(composed)["test/accuracy"]


if __name__ == "__main__":
    run(main, "evaluate")

"""What makes two trainings the same."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf, open_dict

from crackexp.config import check
from crackexp.roots import TrainRoot
from crackexp.sweep.identity import cell_id, code_digest

Compose = Callable[..., DictConfig]


def test_what_changes_no_number_changes_no_digest(compose_config: Compose, tmp_path: Path) -> None:
    plain = cell_id(compose_config(), "data")
    assert cell_id(compose_config(f"paths.output={tmp_path / 'another'}"), "data") == plain
    assert cell_id(compose_config(f"paths.cache={tmp_path / 'cache 2'}"), "data") == plain
    assert cell_id(compose_config("tags=[baseline]", "task_name=other", "register=name"), "data") == plain
    assert cell_id(compose_config("tracking.experiment=another", "sweep.rerun=true"), "data") == plain
    assert cell_id(compose_config(f"paths.root={tmp_path / 'moved'}"), "data") == plain


@pytest.mark.parametrize(
    "override",
    ["seed=1", "dropout=0.31", "split.ratio=[0.6,0.2,0.2]", "image_size=96", "optimizer=sgd", "evaluation.level=0.9"],
)
def test_what_changes_numbers_changes_the_digest(compose_config: Compose, override: str) -> None:
    assert cell_id(compose_config(override), "data") != cell_id(compose_config(), "data")


def test_other_data_changes_the_digest(compose_config: Compose) -> None:
    assert cell_id(compose_config(), "other data") != cell_id(compose_config(), "data")


def test_the_place_of_the_data_does_not(compose_config: Compose, patches: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(patches)
    first, second = (compose_config("dataset=folder", f"dataset.path={path}") for path in (patches, link))
    assert cell_id(first, "data") == cell_id(second, "data")


def test_the_content_of_a_weights_file_counts(compose_config: Compose, tmp_path: Path) -> None:
    weights = tmp_path / "own.weights.h5"
    weights.write_bytes(b"one")
    before = cell_id(compose_config(f"backbone.weights={weights}"), "data")
    weights.write_bytes(b"two")
    assert cell_id(compose_config(f"backbone.weights={weights}"), "data") != before


def test_the_source_of_an_own_class_counts(
    compose_config: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "my_transforms.py"
    module.write_text("class Dim: ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    cfg = compose_config()
    with open_dict(cfg):
        cfg.augmentation.transforms.dim = OmegaConf.create({"_target_": "my_transforms.Dim"})
    before = cell_id(cfg, "data")
    module.write_text("class Dim:\n    factor = 0.5\n")
    assert cell_id(cfg, "data") != before
    assert "my_transforms" not in sys.modules


def test_the_code_has_one_digest() -> None:
    assert code_digest() == code_digest()
    assert len(code_digest()) == 32


def test_weights_of_datasets_mixed_in_count_and_their_places_do_not(compose_config: Compose, patches: Path) -> None:
    def mixed(item: str) -> str:
        return cell_id(check(compose_config(f"mix=[{item}]"), TrainRoot), "data")

    one = mixed(f"{{folder:{{path:{patches}}}}}")
    assert mixed(f"{{folder:{{path:{patches.parent},name:b}}}}") == one
    assert mixed(f"{{folder:{{path:{patches},weight:2}}}}") != one != cell_id(compose_config(), "data")

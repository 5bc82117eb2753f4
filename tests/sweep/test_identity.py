"""What makes two trainings the same."""

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf, open_dict

from crackexp.config.checking import check
from crackexp.sweep.identity import code_digest, training_digest
from crackexp.training.config import TrainConfig
from crackexp.utils import source_code

Compose = Callable[..., DictConfig]


def test_what_changes_no_number_changes_no_digest(compose_config: Compose, tmp_path: Path) -> None:
    plain = training_digest(compose_config(), "data")
    assert training_digest(compose_config(f"paths.output={tmp_path / 'another'}"), "data") == plain
    assert training_digest(compose_config(f"paths.cache={tmp_path / 'cache 2'}"), "data") == plain
    assert training_digest(compose_config("tags=[baseline]", "task_name=other", "register=name"), "data") == plain
    assert training_digest(compose_config("tracking.experiment=another", "sweep.rerun=true"), "data") == plain
    assert training_digest(compose_config("trainer.embeddings_gb=3", "split.check_leaks=false"), "data") == plain
    assert training_digest(compose_config("images_gb=0"), "data") == plain
    assert training_digest(compose_config(f"paths.root={tmp_path / 'moved'}"), "data") == plain


@pytest.mark.parametrize(
    "override",
    ["seed=1", "dropout=0.31", "split.ratio=[0.6,0.2,0.2]", "image_size=96", "optimizer=sgd", "evaluation.level=0.9"],
)
def test_what_changes_numbers_changes_the_digest(compose_config: Compose, override: str) -> None:
    assert training_digest(compose_config(override), "data") != training_digest(compose_config(), "data")


def test_other_data_changes_the_digest(compose_config: Compose) -> None:
    assert training_digest(compose_config(), "other data") != training_digest(compose_config(), "data")


def test_the_place_of_the_data_does_not(compose_config: Compose, patches: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(patches)
    first, second = (compose_config("dataset=folder", f"dataset.path={path}") for path in (patches, link))
    assert training_digest(first, "data") == training_digest(second, "data")


def test_the_content_of_a_weights_file_counts(compose_config: Compose, tmp_path: Path) -> None:
    weights = tmp_path / "own.weights.h5"
    weights.write_bytes(b"one")
    before = training_digest(compose_config(f"backbone.weights={weights}"), "data")
    weights.write_bytes(b"two")
    assert training_digest(compose_config(f"backbone.weights={weights}"), "data") != before


def test_the_source_of_an_own_class_counts(
    compose_config: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "my_transforms.py"
    module.write_text("class Dim: ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    cfg = compose_config()
    with open_dict(cfg):
        cfg.augmentation.transforms.dim = OmegaConf.create({"_target_": "my_transforms.Dim"})
    before = training_digest(cfg, "data")
    module.write_text("class Dim:\n    factor = 0.5\n")
    assert training_digest(cfg, "data") != before
    assert "my_transforms" not in sys.modules


def test_what_an_own_class_imports_counts_and_its_comments_do_not(
    compose_config: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper = tmp_path / "own_light.py"
    helper.write_text("FACTOR = 0.5\n")
    (tmp_path / "own_dim.py").write_text("class Dim:\n    def __call__(self):\n        from own_light import FACTOR\n")
    monkeypatch.syspath_prepend(tmp_path)
    cfg = compose_config()
    with open_dict(cfg):
        cfg.augmentation.transforms.dim = OmegaConf.create({"_target_": "own_dim.Dim"})
    before = training_digest(cfg, "data")
    helper.write_text('"""How much light."""\n\nFACTOR = 0.5  # a half\n')
    assert training_digest(cfg, "data") == before
    helper.write_text("FACTOR = 0.6\n")
    assert training_digest(cfg, "data") != before


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of crackexp. Its files are parsed once, since each test puts back what it edits."""
    place = tmp_path_factory.mktemp("copy") / "crackexp"
    return shutil.copytree(source_code.PACKAGE, place, ignore=shutil.ignore_patterns("__pycache__", "conf"))


@pytest.fixture
def edited(copy: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str, str], str]]:
    """Returns the digest of the code of a copy of crackexp, of which a text in a file was replaced."""
    originals: dict[Path, str] = {}
    find = source_code.find_module

    def find_in_copy(name: str) -> Path | None:
        file = find(name)
        inside = file and file.resolve().is_relative_to(package)
        return copy / file.resolve().relative_to(package) if file and inside else file

    package = source_code.PACKAGE
    code_digest()  # that of the package itself is kept from here on
    monkeypatch.setattr(source_code, "PACKAGE", copy)
    monkeypatch.setattr(source_code, "find_module", find_in_copy)

    def edit(name: str, old: str, new: str) -> str:
        file = copy / name
        text = originals[file] = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new, 1))
        return code_digest.__wrapped__()

    yield edit
    for file, text in originals.items():
        file.write_text(text)


KEEPS = [
    ("data/transforms/geometric.py", "import math", "# another comment\nimport math"),
    ("data/transforms/geometric.py", "Flips every second image", "Mirrors every second image"),
    ("training/embedded_head.py", "HEAD_BATCH = 512", "HEAD_BATCH = (\n    512\n)"),
    ("web/view.py", "import", "import abc\nimport"),
    ("evaluation/report.py", "import", "import abc\nimport"),
    ("reporting/figures/style.py", "import", "import abc\nimport"),
    ("tracking/view.py", "import", "import abc\nimport"),
    ("surveying/surveyor.py", "import", "import abc\nimport"),
    ("exporting/card.py", "import", "import abc\nimport"),
]
CHANGES = [
    ("data/transforms/geometric.py", "rng.random() < 0.5", "rng.random() < 0.4"),
    ("data/synthetic/camera.py", "return", "pass\n    return"),
    ("data/splits/grouped_split.py", "_DRAWS = 100", "_DRAWS = 101"),
    ("training/embedded_head.py", "HEAD_BATCH = 512", "HEAD_BATCH = 256"),
    ("training/fine_tune.py", "class FineTuneTrainer", "LATER = 1\n\n\nclass FineTuneTrainer"),
    ("models/heads.py", "class PooledHead", "LATER = 1\n\n\nclass PooledHead"),
    ("metrics/standard.py", "import numpy", "import abc\nimport numpy"),
    ("evaluation/tables.py", "import numpy", "import abc\nimport numpy"),
    ("evaluation/policy.py", "import numpy", "import abc\nimport numpy"),
    ("utils/seeds.py", "digest_size=8", "digest_size=7"),
    ("train.py", "timer = Timer()", "timer = Timer()\n    timer = timer"),
]


@pytest.mark.parametrize(("name", "old", "new"), KEEPS)
def test_an_edit_that_changes_no_number_keeps_the_digest_of_the_code(
    edited: Callable[[str, str, str], str], name: str, old: str, new: str
) -> None:
    assert edited(name, old, new) == code_digest()


@pytest.mark.parametrize(("name", "old", "new"), CHANGES)
def test_an_edit_of_what_computes_changes_the_digest_of_the_code(
    edited: Callable[[str, str, str], str], name: str, old: str, new: str
) -> None:
    assert edited(name, old, new) != code_digest()


def test_weights_of_datasets_mixed_in_count_and_their_places_do_not(compose_config: Compose, patches: Path) -> None:
    def mixed(item: str) -> str:
        return training_digest(check(compose_config(f"mix=[{item}]"), TrainConfig), "data")

    one = mixed(f"{{folder:{{path:{patches}}}}}")
    assert mixed(f"{{folder:{{path:{patches.parent},name:b}}}}") == one
    assert mixed(f"{{folder:{{path:{patches},weight:2}}}}") != one != training_digest(compose_config(), "data")

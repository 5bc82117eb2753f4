"""Options that stand in lists: what an item composes to."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from crackexp.config.checking import check, listed
from crackexp.config.options import compose_listed, conf_dir
from crackexp.training.config import TrainConfig
from crackexp.utils.errors import ConfigError

Compose = Callable[..., DictConfig]


def test_an_item_has_all_keys_of_its_option(compose_config: Compose, cache: Path) -> None:
    alone = check(compose_config("dataset=synthetic", "dataset.draw_seed=5"), TrainConfig).dataset
    cfg = check(compose_config("mix=[{synthetic:{draw_seed:5,weight:2}}]"), TrainConfig)
    assert cfg.mix == [{"synthetic": {**alone, "weight": 2.0}}]
    assert cfg.mix[0].synthetic.cache == str(cache)
    assert check(compose_config("mix=[synthetic]"), TrainConfig).mix[0].synthetic.weight == 1.0
    ((dataset, beside),) = listed(cfg, "mix")
    assert dataset.draw_seed == 5
    assert beside == {"weight": 2.0}


def test_a_checked_config_is_whole(compose_config: Compose) -> None:
    """A resumed run checks the config that it had logged, wherever options have gone since."""
    cfg = check(compose_config("mix=[synthetic,{mendeley:{path:x}}]"), TrainConfig)
    again = OmegaConf.create(OmegaConf.to_yaml(cfg))
    again.mix = [{f"gone_{name}": node for name, node in item.items()} for item in again.mix]
    checked = check(again, TrainConfig)
    assert [list(item.values()) for item in checked.mix] == [list(item.values()) for item in cfg.mix]


def test_interpolations_and_missing_values_of_items(compose_config: Compose) -> None:
    cfg = compose_config("mix=[{folder:{path:'${paths.root}/a',limit:'${batch_size}'}}]")
    node = check(cfg, TrainConfig).mix[0].folder
    assert node.path == f"{cfg.paths.root}/a"
    assert node.limit == cfg.batch_size
    with pytest.raises(ConfigError, match=r"mix.folder.path has no value. Type 'mix=\[\{folder: \{path: VALUE\}\}\]'"):
        check(compose_config("mix=[folder]"), TrainConfig)


def test_what_is_given_is_not_changed(compose_config: Compose) -> None:
    cfg = compose_config("mix=[synthetic]")
    compose_listed(cfg)
    assert cfg.mix == ["synthetic"]


def test_options_of_the_users_own_are_found(tmp_path: Path) -> None:
    own = tmp_path / "own" / "dataset"
    own.mkdir(parents=True)
    (own / "site.yaml").write_text("defaults:\n  - folder\nname: site\npath: PATCHES\n")
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        cfg = compose("train", [f"hydra.searchpath=[file://{own.parent}]", "mix=[{mendeley:{path:a}}]"])
        assert compose_listed(cfg).mix[0].mendeley.path == "a"
    with initialize_config_dir(str(own.parent), version_base="1.3"):
        assert compose_listed(OmegaConf.create({"mix": [{"nothing": {"_target_": "a.B"}}]})).mix[0].nothing
        with pytest.raises(ConfigError, match=r"no option 'sight'\. Did you mean 'site'"):
            compose_listed(OmegaConf.create({"mix": ["sight"]}))

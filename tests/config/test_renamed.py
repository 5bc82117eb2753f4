"""Old names of classes in configs: they keep working, and the new name is said."""

import hydra.utils
import pytest

from crackexp.config.renamed import RENAMED, _warn
from tests.composing import outcome


def test_a_config_with_an_old_name_is_checked_under_the_new_one(caplog: pytest.LogCaptureFixture) -> None:
    _warn.cache_clear()
    cfg = outcome("train", ["split._target_=crackexp.data.split.RatioSplit"])
    assert not isinstance(cfg, str), cfg
    assert cfg.split._target_ == "crackexp.data.splits.RatioSplit"
    (message,) = [record.getMessage() for record in caplog.records]
    assert "crackexp.data.split.RatioSplit" in message
    assert "crackexp.data.splits.RatioSplit" in message


@pytest.mark.parametrize("old", RENAMED)
def test_a_new_name_is_that_of_a_class(old: str) -> None:
    assert isinstance(hydra.utils.get_class(RENAMED[old]), type)

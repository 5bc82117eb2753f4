"""``python -m crackexp.ui`` where there is nothing to show; what it shows is tested in tests/integration."""

from collections.abc import Callable

import pytest
from omegaconf import DictConfig

from crackexp.ui import ui
from crackexp.utils.errors import UserError


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ([], "no MLflow store at"),
        (["tracking=none"], "tracking=local"),
        (["tracking=server", "tracking.uri=http://127.0.0.1:9"], "Open http://127.0.0.1:9"),
        (["port=0"], "port: must be greater than or equal to 1"),
    ],
)
def test_a_store_that_cannot_be_shown_is_told(
    compose_config: Callable[..., DictConfig], overrides: list[str], words: str
) -> None:
    with pytest.raises(UserError, match=words):
        ui(compose_config(*overrides, root="ui"))

"""What tests of services share."""

from collections.abc import Iterator

import pytest

from tests.training.browser import CHROMIUM, Page, browser


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    if CHROMIUM is None:
        pytest.skip("there is no Chromium")
    with browser(tmp_path_factory.mktemp("profile"), offline=False) as opened:
        yield opened

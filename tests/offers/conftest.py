"""The small shop's kit, made by the stages of its training."""

from pathlib import Path

import pytest

from recsys.offer_kits import make_kit
from recsys.offers.kit import OfferKit
from tests.conftest import NOW

LENIENT = {  # a small shop has few joint orders
    "offers.evidence.min_taste_low": 0.8,
    "offers.evidence.min_joint": 5,
    "offers.bundles.min_customers": 3,
}


@pytest.fixture(scope="session")
def kit_folder(small_config, stages, made_once) -> Path:
    """The saved kit of everything."""

    def fill(folder: Path) -> None:
        make_kit(small_config(folder, LENIENT | {"run.store": str(stages)}), NOW)[1].joinpath("kit").rename(
            folder / "kit"
        )

    return made_once("offer-kit", fill) / "kit"


@pytest.fixture(scope="session")
def kit(kit_folder) -> OfferKit:
    return OfferKit.load(kit_folder)

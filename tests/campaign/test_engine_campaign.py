"""The compiled engine beside stock Casbin on random models, ten million decisions; of `make campaign` alone.

Every model is of a seed, so a run can be taken up where another ended: `ENTENTE_ENGINE_FROM` is the first model (default 1,000,000, away
from those of `make test`), `ENTENTE_ENGINE_DECISIONS` how many decisions (default 10,000,000, at 64 a model). A difference names its seed:
`tests.support.casbin_models.difference(generated(SEED, requests=64, uncompiled=SEED % 12 == 0))` shows it again.
"""

from __future__ import annotations

import os
import time

import pytest

from tests.support.casbin_models import difference, generated

pytestmark = pytest.mark.campaign

REQUESTS = 64
REPORT_EVERY = 2_000


def test_agrees_with_stock_casbin_on_ten_million_decisions(capsys: pytest.CaptureFixture[str]) -> None:
    first = int(os.environ.get("ENTENTE_ENGINE_FROM", "1000000"))
    wanted = int(os.environ.get("ENTENTE_ENGINE_DECISIONS", "10000000"))
    began = time.monotonic()
    for number in range(-(-wanted // REQUESTS)):
        seed = first + number
        of = generated(seed, requests=REQUESTS, uncompiled=seed % 12 == 0)
        differs = difference(of, whole_every=32)
        assert differs is None, f"model {seed}: {differs}\n{of.model}{of.rows}"
        if (number + 1) % REPORT_EVERY == 0:
            done = (number + 1) * REQUESTS
            with capsys.disabled():
                print(
                    f"engine: {done:,} decisions agree, up to model {seed}, {done / (time.monotonic() - began):,.0f} a second", flush=True
                )

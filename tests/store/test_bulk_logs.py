"""The loader of large logs for benchmarks writes what the ledger writes: figures of its logs are figures of ours."""

from __future__ import annotations

from tests.support.bulk_logs import compared


def test_the_loader_s_rows_are_the_ledger_s() -> None:
    assert compared(400) == 400

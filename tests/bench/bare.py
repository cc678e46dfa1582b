"""The peer of the release benchmark: a FastAPI route that returns the same bytes, and does nothing else."""

from __future__ import annotations

import os
from pathlib import Path

from fastapi import FastAPI
from starlette.responses import Response

BODY = Path(os.environ["BENCH_BODY"]).read_bytes()
app = FastAPI()


@app.get("/v1/items/{id}")
async def item(id: str) -> Response:
    return Response(BODY, media_type="application/json")

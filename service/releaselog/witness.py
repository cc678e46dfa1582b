"""The witness's protocol: what a log sends, what a witness checks, and what it answers. C2SP tlog-witness, `add-checkpoint`.

```
old 20852014
PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
...

entente.example/log/900/root
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— entente.example/log/900/root Az3grlgtzPICa5OS8npV...
```

A witness remembers one checkpoint for each origin and signs another only if that one is its beginning. It sees sizes and roots,
never an entry. Pure: the state comes in, and the new one goes out; whoever keeps it makes it durable before it answers.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from service.errors import ProofError
from service.releaselog.checkpoint import Checkpoint, open_checkpoint, read_checkpoint, read_decimal
from service.releaselog.cosign import Cosigner
from service.releaselog.merkle import HASH_BYTES, verify_consistency
from service.releaselog.notes import VerifierKey, decode_base64, read_note

REQUEST_BYTES_MAX: Final = 65_536
HASHES_MAX: Final = 63
SIZE_TYPE: Final = "text/x.tlog.size"
TEXT_TYPE: Final = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Submission:
    """A request to sign `note`, said to continue the tree of `old` entries. Nothing of it is proven."""

    old: int
    proof: tuple[bytes, ...]
    note: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a witness answers, and, where it signed, what it must remember first."""

    status: int
    body: str
    media_type: str = TEXT_TYPE
    remember: Checkpoint | None = None


def write_submission(submission: Submission) -> str:
    """The request's body."""
    lines = [f"old {submission.old}", *(base64.b64encode(value).decode("ascii") for value in submission.proof)]
    return "\n".join(lines) + "\n\n" + submission.note


def read_submission(body: bytes) -> Submission:
    """Read a request's body.

    Raises:
        ProofError: malformed.
    """
    if len(body) > REQUEST_BYTES_MAX:
        raise ProofError(f"a request of {len(body)} bytes, expected at most {REQUEST_BYTES_MAX}")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise ProofError("a request that is not UTF-8") from None
    head, blank, note = text.partition("\n\n")
    if not blank:
        raise ProofError("a request without a blank line before its checkpoint")
    first, *lines = head.split("\n")
    if not first.startswith("old "):
        raise ProofError("a request that does not begin with `old SIZE`")
    if len(lines) > HASHES_MAX:
        raise ProofError(f"a request of {len(lines)} hashes, expected at most {HASHES_MAX}")
    proof = tuple(decode_base64(line, "a hash of a request") for line in lines)
    if any(len(value) != HASH_BYTES for value in proof):
        raise ProofError(f"a hash of a request is not {HASH_BYTES} bytes")
    return Submission(read_decimal(first.removeprefix("old "), "the old size of a request"), proof, note)


def add_checkpoint(
    body: bytes, *, trusted: Mapping[str, Sequence[str]], latest: Mapping[str, Checkpoint], cosigner: Cosigner, time: int
) -> Answer:
    """A witness's answer to a request.

    Args:
        trusted: verifier's keys by origin.
        latest: the checkpoint last signed, by origin.
        time: seconds since 1970.
    """
    # (1): the form.
    try:
        submission = read_submission(body)
        text, signatures = read_note(submission.note)
        said = read_checkpoint(text)
    except ProofError as error:
        return Answer(400, f"{error}\n")
    # (2): a log we know.
    keys = trusted.get(said.origin)
    if not keys:
        return Answer(404, "unknown log\n")
    # (3): signed by a key of it that we trust; others are passed over, and a wrong signature under one we trust condemns.
    signed_by = {(name, key_id) for name, key_id, _ in signatures}
    mine = [vkey for vkey in keys if (VerifierKey.parse(vkey).name, VerifierKey.parse(vkey).key_id) in signed_by]
    try:
        opened = [open_checkpoint(submission.note, vkey, said.origin) for vkey in mine]
    except ProofError as error:
        return Answer(403, f"{error}\n")
    if not opened:
        return Answer(403, "not signed by a key that is trusted\n")
    checkpoint = opened[0]
    # (4): from where we stand.
    if submission.old > checkpoint.size:
        return Answer(400, "the old size is above that of the checkpoint\n")
    known = latest.get(said.origin)
    size = 0 if known is None else known.size
    if submission.old != size:
        return Answer(409, f"{size}\n", SIZE_TYPE)
    # (5): a continuation of what we signed before, and of nothing else.
    if known is not None and checkpoint.size == known.size and checkpoint.root != known.root:
        return Answer(409, f"{size}\n", SIZE_TYPE)
    try:
        if known is None or known.size == 0:
            if submission.proof:
                raise ProofError("a proof that continues nothing")
        else:
            verify_consistency(
                old_size=known.size, new_size=checkpoint.size, old_root=known.root, new_root=checkpoint.root, proof=submission.proof
            )
    except ProofError as error:
        return Answer(422, f"{error}\n")
    return Answer(200, cosigner.line(text, time=time), remember=checkpoint)

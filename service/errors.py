"""The tree of errors: three branches, because three people act on them.

```
ServiceError
├── Refused            the answer is no; the requester is told as much as they may know
│   ├── Unauthenticated    no valid token: the one 401
│   ├── Forbidden          a valid token of a role or purpose this route is not for: the one 403
│   ├── SecondOfficer      this wants another person; said to officers alone: 403 with the reason
│   ├── BeyondRights       a label that this officer may not give or take: likewise
│   ├── NotVisible         absent or withheld: the one 404
│   │   └── Pruned             was in the log whose reader asks, and is not any more: 404 with the reason
│   └── TooMany            over the client's rate: 429
├── Rejected           the request is malformed or unproven; the caller can mend it: 422
│   ├── Conflict           well-formed, but not as things stand (a `ref` already stored): 409
│   ├── PolicyRejected     a bundle with findings
│   └── ProofError         a proof, receipt or checkpoint that does not hold
└── Broken             we cannot answer; the operator must act. Never answered with a release
    └── Busy               queues are full or the log cannot be written now: 503
```

Messages are lower case, one line, without a final period, and name the offending input in backticks, what was expected
and what came. They never hold content, secrets, or names of tables and classes.
"""

from __future__ import annotations


class ServiceError(Exception):
    """Root of the tree; never raised itself."""


class Refused(ServiceError):
    """The answer is no."""


class Unauthenticated(Refused):
    """No valid token, or no valid secret. `reason` is for our own counters, never for the caller: the text is always the same."""

    def __init__(self, reason: str = "unproven") -> None:
        super().__init__("not authenticated")
        self.reason = reason


class Forbidden(Refused):
    """A valid token, but this route or purpose is not for it."""


class SecondOfficer(Refused):
    """An act that another person must do. Own side only, where the reason may be said."""


class BeyondRights(Refused):
    """An act on a label that is beyond an officer's rights. Own side only, where the reason may be said."""


class NotVisible(Refused):
    """Absent or withheld; the caller cannot tell which, and neither can this type."""


class Pruned(NotVisible):
    """Was in a log that the caller may read, and was pruned since. Said where that is no secret, and nowhere else."""


class TooMany(Refused):
    """Over the client's rate. `retry_after_seconds` is a whole number of at least 1."""

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__("rate exceeded")
        self.retry_after_seconds = retry_after_seconds


class Rejected(ServiceError):
    """The request is malformed or unproven; `code` is a stable word for programs, the message is for people."""

    def __init__(self, message: str, *, code: str = "rejected") -> None:
        super().__init__(message)
        self.code = code


class Conflict(Rejected):
    """Well-formed, but not as things stand."""


class ProofError(Rejected):
    """A proof, receipt or checkpoint that does not hold."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="proof")


class Broken(ServiceError):
    """We cannot answer; the operator must act. Never answered with a release."""


class Busy(Broken):
    """Not now: a queue is full, or the log could not be written. The caller may try again."""

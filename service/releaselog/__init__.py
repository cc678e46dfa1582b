"""The release log as mathematics: leaf, tree, note, checkpoint, receipt, and the verification of all of them.

Pure: no clock, no database, no files, no key store. Bytes come in as arguments, so what was issued today can be checked again,
byte for byte, in a hearing years from now. Every format that leaves is one that other people's tools read (RFC 6962, RFC 8785,
C2SP), so that nobody has to believe this code.

| module | says |
|---|---|
| `leaf` | an entry's exact bytes: the face, its seal, the record behind it |
| `merkle` | the tree: roots, proofs and their verifiers, the frontier, the tiles an append fills |
| `notes` | text signed by a key (C2SP signed-note) |
| `checkpoint` | a tree head as such a note (C2SP tlog-checkpoint) |
| `keys` | which of a log's keys signed when, and what a checkpoint of some moment must carry |
| `receipt` | a leaf's way to a checkpoint (C2SP tlog-proof) |
| `heads` | all logs under one root, in salted slots, and the proof of one of them |
| `cosign` | a witness's signature below a checkpoint (C2SP tlog-cosignature) |
| `witness` | what a witness is asked, checks and answers (C2SP tlog-witness) |
| `tiles` | what parts of a log are called and how entries travel (C2SP tlog-tiles) |
| `verify` | a whole log, re-derived from what is stored |
"""

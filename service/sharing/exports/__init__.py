"""Exports: what the logs say, handed to somebody who takes it away.

- `selection`: what is asked for, and the walk over it in the order of the logs, on one view of the database
- `bundle`: the evidence bundle, whole or filtered: entries, what is left out, checkpoints, keys, policy bundles, the verifier
- `tables`: CSV; `ocsf`: events for a SIEM; `report`: a page to print
- `tiles`: a log as static files (C2SP tlog-tiles)
- `writing`: pieces into a folder, a file or a zip
- `export`: one export, from the look that records it to its last byte

Everything is made as a stream of pieces and memory stays bounded, whatever the logs hold.
"""

"""What a marking means: scheme, label, marking profiles, intake, roll-up, effective time.

Pure, and a library of its own: it needs nothing of this service but the tree of errors. Nothing in here says whether
anyone may have anything; labels are compared by the policy and by nothing else.

| module | says |
|---|---|
| `scheme` | the ladder and the vocabularies that labels are made of |
| `label` | the value: level, categories, audience, caveats, originators |
| `markings` | the text a person reads and writes, by profile; pages of portion marks and their banner |
| `intake` | how a marking becomes a label, and what is held in quarantine instead |
| `equivalence` | what another's level name means on our ladder, from a dated table |
| `precedence` | which caveats a banner conveys, by the manual |
| `rollup` | the label of several things together, of a banner, of a partner's copy |
| `widening` | whether another label in a label's place may open anything |
| `effective` | the label as it is at a time: embargo, downgrade, declassification |
"""

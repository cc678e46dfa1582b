"""What happens: the release gate, officers' acts, intake, publishing, and the upkeep of what is on offer.

| module | holds |
|---|---|
| `gate` | the one way out: decide, render, record durably, then answer |
| `asks` | what a partner can ask, and how each is prepared |
| `copies` | what one partner gets of an item version |
| `held`, `ahead` | copies that are held, and those made ready for a boundary before it |
| `visibility` | when an item is visible to whom, written ahead |
| `ledger` | leaves, heads and checkpoints, inside somebody's transaction |
| `rotation` | another key for the logs |
| `rootlog`, `witnessing` | all heads under one root by the clock, and who has seen it |
| `ids` | of items, portions and entries |
| `beside` | work that is done again and again in a thread of its own |
| `highwater` | how far the logs had come, outside of the database |
| `standing` | whether it could release now, and why not |
| `acts` | what changes who may have what, each a leaf of `officers` |
| `intake`, `item_files`, `line_reading` | items: read strictly, with their files, line by line, here or in a process beside |
| `importing`, `catalogue` | items: taken in, corrected, withdrawn |
| `parts`, `tear_lines` | values marked inside a JSON portion; variants of a portion for a wider audience |
| `words`, `search` | what can be found, and by whom, written ahead |
| `policies`, `publishing` | the policy in force, and how another comes into force |
| `examination`, `difference`, `stored` | what a bundle must pass, and what it would do to what is stored |
| `relabelling`, `quarantine`, `label_history` | other labels, by two officers where that widens; what waits for one; what was |
| `proposals`, `told` | what waits for a second officer, and how an act is told |
| `calendar`, `item_calendar` | what time alone will do: by dated rows, and by items' own dates |
| `registry` | clients |
| `looks`, `audit`, `verification`, `root_verification` | what officers and auditors read |
| `answers`, `firsts`, `signals`, `reviews` | what auditors ask beyond entries, and what they note |
| `accounting` | a partner's own log, summed up |
| `installation` | all of it put together over a data folder |
"""

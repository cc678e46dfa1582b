"""REST: the doors of partners, officers and auditors (DESIGN section 8).

`access` says whose each route is; `guard` refuses to start a response on a recorded route without a committed entry;
`problems` writes what goes wrong. Nothing here decides: the gate, the acts and the policy do.
"""

"""Who is asking: clients, their secrets and tokens, and how often each may ask (DESIGN sections 3, 8 and 12).

From a token we take two words only, `iss` and `sub`, and only after the signature is proven; partner, role and purposes come
from our own client table. `python-jose` is imported in this package alone.

| module | holds |
|---|---|
| `clients` | `Client`, `Caller`, the directory they are found in |
| `rights` | the labels an officer may give and take |
| `authentication` | the doors: a secret at the token endpoint, a role on a route, a purpose on a request |
| `tokens` | the embedded issuer, and the one verifier |
| `external` | the keys of an OpenID provider, fetched and kept |
| `keys` | our signing keys, and what of a foreign key we accept |
| `secrets` | client secrets and their hashes |
| `rates` | who asks too often |
| `encoding` | strict JSON and base64url |
"""

"""Entente: a releasability service. `service/README.md` is the map."""

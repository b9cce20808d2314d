"""The custom resources as frozen types: parse and serialise, names, conditions. No I/O, no kopf."""

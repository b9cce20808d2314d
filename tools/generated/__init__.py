"""Everything that is made from something else: written anew, or found stale."""

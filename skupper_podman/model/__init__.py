"""The nouns of a service network as values: sites, links, tokens, services, and their status.

Standard library only, no I/O: these types can be made and compared anywhere, by any room.
"""

"""The embedded router: a drop-in for skrouterd with its configuration, wire and management."""

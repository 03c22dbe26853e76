"""The command-line tools of a router, skmanage and skstat: drop-ins for those of skupper-router 2.7."""

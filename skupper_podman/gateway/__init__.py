"""What a gateway bundle carries besides text: the installer, and the embedded router with all it needs to run."""

"""From a site, its links and its services to the complete list of resources that must exist. Pure: no I/O."""

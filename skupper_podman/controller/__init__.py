"""The long-running program of a site: it reports the site to the network and writes down what the network reports."""

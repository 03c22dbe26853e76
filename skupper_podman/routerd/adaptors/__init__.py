"""Adaptors: where traffic that is not AMQP enters and leaves the network."""

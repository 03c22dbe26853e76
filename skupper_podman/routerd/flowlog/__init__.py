"""What the router tells collectors about itself: the vanflow event source."""

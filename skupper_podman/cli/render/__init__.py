"""Text output in 1.9's wording: pure functions from model values to the exact bytes a terminal or a script gets.

What always holds: no I/O, no clock, no platform; every function returns text that ends with a newline (or is empty).
Formats and samples: cli reference 3.1 to 3.4, flow-and-console reference 6.5 and 6.6.
"""

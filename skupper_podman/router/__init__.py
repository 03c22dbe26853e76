"""The client side of a router: its configuration document, and its management over AMQP.

`config` and `documents` are pure and say what a router is to be; `management` asks a running one.
"""

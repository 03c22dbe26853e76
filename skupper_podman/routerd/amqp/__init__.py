"""AMQP connections of the router: proton's engine on sockets of our own loop, and what each role of connection does."""

"""The entity tables behind ``$management``: schema, configuration file and agent. No I/O in this room."""

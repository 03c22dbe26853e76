"""The command line: read words, call a platform, print what comes back.

What always holds: this is the only room that prints, and it knows a platform only by its interface. From the outside
in: ``main`` (entry), ``fast`` (answers that need nothing loaded), ``app`` (words to exit code), one module a noun
(``site``, ``status``, ``link``, ``token``, ``service``, ``expose``, ``network``, ``switch``, ``version``,
``completion``), and what they share: ``catalog`` (all commands), ``flags`` and ``argv`` (syntax), ``typed`` (Typer),
``session``, ``result``, ``output``, ``documents`` (JSON) and ``render`` (text).
"""

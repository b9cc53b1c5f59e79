"""ENGINE ROOM: a tuned contender in, a folder out that others can load, serve and read about."""

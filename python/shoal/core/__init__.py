"""Remote functions, actors, options, serialization, errors and the runtime context."""

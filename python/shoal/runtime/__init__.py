"""Sessions and process entry points: init and shutdown, node, zygote, worker."""

"""Daily competition: bots, epochs, and the blockchain that bots' owners are read from."""

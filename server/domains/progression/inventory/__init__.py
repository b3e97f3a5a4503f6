"""What slots hold: items and currencies, recipes, the ledger that moves them, and anti-cheat.

`rules` decides (pure), `service` carries out one transaction of the ledger at a time and is what
other domains use (`Economy`), `definitions` is for editors, `http` for everybody.
"""

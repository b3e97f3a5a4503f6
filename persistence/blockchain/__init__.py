"""Transfers read from ERC-721 contracts, and the token owners that follow from them."""

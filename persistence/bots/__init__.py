"""Bots as they are stored: identities, owners, tokens, avatars and wallets."""

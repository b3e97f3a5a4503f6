"""Accounts as they are stored: users, sessions, sign-in methods, roles and bans."""

"""What an operator does: commands, audits, exports, and the endpoints for health and metrics.

For: `playhall accounts` and `playhall keys` (`accounts_cli`), `playhall epoch` (`epochs_cli`,
`mirror_cli`, and `rehearsal_cli`, which makes bots and voters to rehearse a day with), `audit`
(verify, replay, rebuild), `export`, and `http` (health, readiness, metrics, status, documents).

Promises: commands use the same stores as the server's endpoints, so every act on an account is on
record; no secret is printed but one that was just made; `http` answers within a bound, also when
the database does not, and says nothing about any person.

Must not know: sockets. Nodes hear of what was done here from the database.
"""

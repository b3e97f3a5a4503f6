"""Operations: what an operator, a load balancer and a client's author ask a server.

For: health, readiness, metrics, live counts, and the generated documents.

Promises: answers within a bound, also when the database does not; says nothing about
any person.

Must not know: what is measured or how; it is handed functions that tell.
"""

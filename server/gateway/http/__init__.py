"""HTTP endpoints as data: what each takes and returns, and the OpenAPI document."""

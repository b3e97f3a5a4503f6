"""Tests, as a package: fixtures of scope `package` end with the innermost one that has them."""

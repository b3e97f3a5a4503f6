"""Who people are: accounts and profiles."""

"""What the tables of the social platform have to agree on."""

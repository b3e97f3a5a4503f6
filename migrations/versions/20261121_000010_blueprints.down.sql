DROP FUNCTION search_market(tsquery);
DROP TABLE blueprints;
DROP FUNCTION blueprint_unchanged(), blueprint_names_parent(), blueprint_counts_forks();

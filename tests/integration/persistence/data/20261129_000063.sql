-- Nothing new: revisions are in parts.
SELECT 1;

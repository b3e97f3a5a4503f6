-- How a game ended, as the original server stored it.
SELECT status, final_scores FROM games g JOIN game_summaries s ON s.game_id = g.id WHERE g.id = %s

INSERT INTO epoch_clock (epoch_at, speed) VALUES ('2026-02-12 12:00Z', 60);
UPDATE epoch_contributions SET raw_score = 5529600000000.00000001;

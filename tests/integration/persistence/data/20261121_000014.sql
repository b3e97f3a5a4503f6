INSERT INTO epoch_clock (epoch_at, speed) VALUES ('2026-02-12 12:00Z', 60);

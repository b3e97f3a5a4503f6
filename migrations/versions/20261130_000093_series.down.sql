-- Series end; their games stay.

DROP TABLE series;

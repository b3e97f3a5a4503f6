UPDATE epoch_contributions SET raw_score = 5529600000000.00000001;

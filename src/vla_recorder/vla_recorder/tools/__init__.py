"""Looking at datasets, and making datasets of datasets: one file for each verb."""

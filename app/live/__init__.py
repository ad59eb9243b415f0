"""Live curves: charts that keep their zoom while their data grow."""

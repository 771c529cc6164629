"""From cell records to what is shown: tables, comparisons, aggregates. Reads records only."""

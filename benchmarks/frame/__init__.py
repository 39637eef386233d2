"""What every case of the suite goes through: rounds, figures kept as JSON, table and plots."""

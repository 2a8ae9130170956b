"""What an audited request costs: ``python -m tests.bench`` measures bare, ideal and ours."""

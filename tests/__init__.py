"""The tests of tfaudit, which mirror the package name for name."""

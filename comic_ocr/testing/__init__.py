"""What tests and plugin authors use: pages to read, fakes and contract suites."""

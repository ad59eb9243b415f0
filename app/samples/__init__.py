"""What a method learned about each training sample: reads, tables, words and sections."""

"""What the Data page needs: the upload, and what is shown of a dataset."""

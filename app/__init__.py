"""What people see: the Streamlit pages and the caat command."""

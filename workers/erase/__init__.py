"""Taking a customer's words out of everything phiq keeps."""

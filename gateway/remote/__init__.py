"""The service over HTTP, for clients: requests and answers (no input or output), and two doors that send them."""

"""What is sent to other systems, and how."""

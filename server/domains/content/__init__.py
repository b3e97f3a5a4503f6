"""What people make and upload: blueprints and files."""

"""What formats share: files, tables, shapes and pixels on their way in and out."""

UPDATE room_directory SET can_watch = false;

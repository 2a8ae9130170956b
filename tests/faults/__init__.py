"""What the program does when its surroundings fail, are killed, or are tampered with."""

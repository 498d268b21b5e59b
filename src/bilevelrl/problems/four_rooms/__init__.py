"""FourRooms: a leader makes cells of a gridworld costly."""

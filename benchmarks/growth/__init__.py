"""What any number of servers costs the Hub, over an Engine that costs nothing: the fake one."""

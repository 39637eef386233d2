"""What a swarm's servers cost the Hub and the manager while nothing happens, at any number of them."""

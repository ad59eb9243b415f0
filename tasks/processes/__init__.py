"""What every process of ours is and leaves to the others: locks, hosts, parents, secrets."""

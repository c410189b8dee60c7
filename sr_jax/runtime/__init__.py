"""What a process is: its peers, its console, its run's folder, its signals."""

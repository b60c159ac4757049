"""What cases are made of: namespaces, processes, packages, our daemon, the peers, and how to judge them."""

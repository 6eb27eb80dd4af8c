"""The hospital's web pages, served by the node on the loopback interface only."""

"""What can be had, what it costs, what was delivered and who is paid: `docs/market.md`."""

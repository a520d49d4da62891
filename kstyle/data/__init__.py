"""Files that come with kstyle: network weights and sample pictures."""

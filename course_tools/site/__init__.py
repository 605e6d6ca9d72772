"""From sources to a site: built, then every page checked."""

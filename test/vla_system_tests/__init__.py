"""What the tests of the whole suite share: real processes, and a watcher on their topics."""

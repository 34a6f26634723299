"""What the fork server imports so that the children of a probed service write down their times."""

from benchmarks.probe import watch_in_child

watch_in_child()

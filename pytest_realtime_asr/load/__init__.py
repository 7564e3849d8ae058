"""Load: many paced sessions at a time, and the capacity of a server.

A `Load` describes a level of load. Shards of the level run in worker processes and
return a `Row` for each session that has ended. The rows of a level make a `Level`, from
which everything else is computed.
"""

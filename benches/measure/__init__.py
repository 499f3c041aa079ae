"""What benches/peers and benches/scale have in common.

`build` makes or installs what is measured, `targets` says who that is, `workloads` what is asked of it,
`gateway` starts and stops it, `load` drives it. `figures` are the numbers that came of it, `verdicts` what
they are judged by, `plot` and `page` show them.
"""

"""Effect: new users of one treatment beside new users of another, adjusted, and kept shut until its diagnostics pass.

`spec` what is asked; `models` the steps; `people` who is compared; `adjust` scores, strata, weights and matches;
`diagnostics` what opens the outcome; `tables` and `words` the answer; `kind` puts them together.
"""
